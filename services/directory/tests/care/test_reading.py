"""What texts mean, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creneau_directory.domain.care.reading import KnownNames, Reader, reader
from creneau_directory.domain.care.spelling import edit_distance, sound
from creneau_shared.spelling import fold

NAMES = KnownNames({name: ((name,), 1.0) for name in ("payet", "laval", "goff", "legoff", "rose", "petit")})


@pytest.fixture(scope="module")
def read() -> Reader:
    return reader()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("dentiste lyon 3", "c:69383"),
        ("dentiste Lyon 3ème", "c:69383"),
        ("dentiste paris dans le 15e arrondissement", "c:75115"),
        ("paris XV dentiste", "c:75115"),
        ("kiné XVIIIe", "c:75118"),
        ("75018 kiné", "c:75118"),
        ("dentiste st-malo", "c:35288"),
        ("dentiste à Saint Malo", "c:35288"),
        ("dentiste le mans", "c:72181"),
        ("dentiste La Rochelle", "c:17300"),
        ("dentiste l'haÿ les roses", "c:94038"),
        ("dentiste aix", "c:13001"),
        ("dentiste Toulouze", "c:31555"),
        ("dentiste monpelier", "c:34172"),
        ("dentiste 29", "d:29"),
        ("dentiste Côtes d'Armor", "d:22"),
        ("dentiste en Bretagne", "r:53"),
        ("médecin saint-pierre réunion", "c:97416"),
        ("médecin saint-denis 974", "c:97411"),
        ("dentiste", None),
    ],
)
def test_places(read: Reader, text: str, place: str | None) -> None:
    found = read.read(text).place
    assert (found.key if found else None) == place


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("gynéco femme", {"gender": ("female",)}),
        ("sage femme", {}),
        ("médecin qui parle arabe", {"language": ("ar",)}),
        ("kiné à domicile", {"mode": ("HH",)}),
        ("psy en visio", {"mode": ("VR",)}),
        (
            "dentiste secteur 1 accessible en fauteuil roulant",
            {"sector": ("1",), "accessibility": ("wheelchair",)},
        ),
        ("médecin qui prend de nouveaux patients", {"new-patient": ("true",)}),
        ("dentiste sans dépassement d'honoraires", {"sector": ("1",)}),
    ],
)
def test_wishes(read: Reader, text: str, filters: dict[str, tuple[str, ...]]) -> None:
    assert read.read(text).filters == filters


def test_what_is_not_wished(read: Reader) -> None:
    intent = read.read("dermato pas de téléconsultation")
    assert (intent.filters, intent.excluded) == ({}, {"mode": ("VR",)})


@pytest.mark.parametrize(
    ("text", "numbers", "cares"),
    [
        ("infarctus", ("15",), False),
        ("il ne respire plus", ("15",), False),
        ("envie d'en finir", ("3114",), False),
        ("urgence dentaire", (), True),
        ("après un avc", (), True),
    ],
)
def test_emergencies_are_told_and_not_taken_for_a_need(
    read: Reader, text: str, numbers: tuple[str, ...], cares: bool
) -> None:
    intent = read.read(text)
    assert (intent.emergencies, bool(intent.cares)) == (numbers, cares)


@pytest.mark.parametrize(
    ("text", "names", "place"),
    [
        ("dr Payet", ["payet"], None),
        ("Payet rennes", ["payet"], "c:35238"),
        ("le goff vannes", ["legoff"], "c:56260"),
        ("dr laval", ["laval"], None),
        ("dentiste laval", [], "c:53130"),
        ("docteur petit", ["petit"], None),
    ],
)
def test_names_of_people_and_of_places(read: Reader, text: str, names: list[str], place: str | None) -> None:
    intent = read.read(text, NAMES)
    assert [word.typed for word in intent.names] == names
    assert (intent.place.key if intent.place else None) == place


def test_a_named_profession_counts_before_what_it_is_for(read: Reader) -> None:
    assert read.read("kiné mal au dos").cares == (("kinesitherapie", 1.0),)
    assert read.read("médecin mal au dos").cares[0][0] == "medecine-generale"
    assert read.read("dermatologue acné").cares == (("dermatologie", 1.0),)


def test_what_is_not_understood_is_said(read: Reader) -> None:
    assert read.read("dentiste qwfplu").ignored == ("qwfplu",)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120))
def test_anything_can_be_read(read: Reader, text: str) -> None:
    intent = read.read(text)
    assert sum(share <= 1 for _, share in intent.cares) == len(intent.cares)


@settings(max_examples=50)
@given(st.text("abcde", max_size=7), st.text("abcde", max_size=7))
def test_edit_distance_is_the_same_both_ways(left: str, right: str) -> None:
    assert edit_distance(left, right, 3) == edit_distance(right, left, 3)
    assert (edit_distance(left, right, 3) == 0) == (left == right)


def test_sounds() -> None:
    assert sound("ofthalmo") == sound("ophtalmo")
    assert sound("Lefebvre") == sound("Lefèvre")
    assert fold("L’Haÿ-les-Roses") == "l hay les roses"
