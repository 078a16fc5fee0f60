"""Who is meant, which town, and what is read of the directory."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_web.care.folding import fold
from creneau_web.care.reading import opening_of, professionals_of
from creneau_web.care.towns import find_towns, towns_of
from creneau_web.care.wanted import understand
from creneau_web.people.identity_form import IdentityForm, age, problems_of

from .conftest import searchset
from .samples import PLACE, PRACTITIONER, ROLE, SLOT

TOWNS = towns_of(
    [
        *[("Rennes", "35000")] * 5,
        ("Saint-Denis", "97400"),
        ("Saint-Denis", "93200"),
        ("Saint-Malo", "35400"),
        ("Vannes", "56000"),
        ("Saint-Étienne", "42000"),
    ]
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dermato", "dermatologie"),
        ("DERMATOLOGE", "dermatologie"),
        ("je cherche un dentiste", "chirurgie-dentaire"),
        ("rage de dent", "chirurgie-dentaire"),
        ("toubib", "medecine-generale"),
        ("medecin generalist", "medecine-generale"),
        ("kiné à domicile", "kinesitherapie"),
        ("eye doctor", "ophtalmologie"),
        ("sage femme", "sage-femme"),
        ("pediatre", "pediatrie"),
    ],
)
def test_everyday_words_are_understood(text: str, key: str) -> None:
    found = understand(text)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize("text", ["Maillot", "Bianchi", "x", ""])
def test_what_is_no_profession_is_left_to_be_a_name(text: str) -> None:
    assert understand(text) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("renes", ["Rennes"]),
        ("VANNE", ["Vannes"]),
        ("35000", ["Rennes"]),
        ("35", ["Rennes", "Saint-Malo"]),
        ("st malo", ["Saint-Malo"]),
        ("St-Etienne", ["Saint-Étienne"]),
        ("saint denis", ["Saint-Denis"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_towns_are_found_however_they_are_spelt(text: str, names: list[str]) -> None:
    assert [town.name for town in find_towns(text, TOWNS)] == names


@given(st.text())
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=30))
def test_whatever_is_typed_is_answered(text: str) -> None:
    understand(text)
    find_towns(text, TOWNS)


def test_a_professional_is_read_with_their_place() -> None:
    [found] = professionals_of(searchset(ROLE, PRACTITIONER, PLACE))
    assert found.name == "Dr Inès Bianchi"
    assert found.specialties == ("Dermatologie et Vénéréologie",)
    assert found.place is not None
    assert found.place.address == "83 boulevard de la République, 97400 Saint-Denis"
    assert found.zone.key == "Indian/Reunion"
    assert opening_of(SLOT, found.zone).start.hour == 10


def test_an_impossible_zone_is_paris() -> None:
    place = PLACE | {"extension": [{"url": PLACE["extension"][0]["url"], "valueCode": "../../etc/passwd"}]}
    [found] = professionals_of(searchset(ROLE, PRACTITIONER, place))
    assert found.zone.key == "Europe/Paris"


def test_majority_comes_with_the_birthday() -> None:
    assert age(date(2008, 12, 1), date(2026, 11, 30)) == 17
    assert age(date(2008, 12, 1), date(2026, 12, 1)) == 18


def test_a_grown_up_is_no_child() -> None:
    form = IdentityForm(prenom="A", nom_de_naissance="B", jour="1", mois="1", annee="1990", lien="enfant")
    assert problems_of(form, date(2026, 11, 30), first=False) == {"lien": "identity.problem.grown_up"}
