"""A commune is understood by its whole name, before any part of it; addresses and dates name no other place."""

from __future__ import annotations

from collections import defaultdict

import pytest

from creneau_directory.domain.care.reading.reader import reader
from creneau_directory.domain.care.spelling import SMALL
from creneau_french.communes import communes
from creneau_shared.spelling import fold


def names() -> dict[str, set[str]]:
    """Every name of two words or more, articles and small words apart → the keys of its communes."""
    found: dict[str, set[str]] = defaultdict(set)
    for code, commune in communes().items():
        name = fold(commune.name)
        if len([word for word in name.split() if word not in SMALL]) > 1:
            found[name].add(f"c:{code}")
    return found


@pytest.mark.parametrize("part", range(8))
def test_every_whole_name_is_that_commune(part: int) -> None:
    """Some 1,500 were one of their words: Vitry-le-François was Le François, in Martinique."""
    wrong = []
    for name, keys in sorted(names().items())[part::8]:
        place = reader().read(name).place
        if place is None or place.key not in keys:
            wrong.append((name, place))
    assert not wrong, wrong[:20]


@pytest.mark.parametrize("before", ["dentiste {}", "medecin generaliste a {}", "{} kine"])
def test_beside_what_is_sought(before: str) -> None:
    wrong = []
    for name, keys in sorted(names().items())[::150]:
        read = reader().read(before.format(name))
        if read.place is None or read.place.key not in keys or not read.cares:
            wrong.append((name, read.place, read.cares))
    assert not wrong, wrong[:20]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Vitry-le-François", "Vitry-le-François"),
        ("st denis en val", "Saint-Denis-en-Val"),
        ("la falaise", "La Falaise"),
        ("falaise", "Falaise"),
        ("la réunion", "La Réunion"),
        ("Le Mans", "Le Mans"),
        ("12 rue de Paris Rennes", "Rennes"),
        ("rue de Nantes 35000 Rennes", "Rennes"),
        ("2 bis rue du Mans, 75015 Paris", "Paris 15e Arrondissement"),
        ("medecin avenue de Lyon, Grenoble", "Grenoble"),
        ("place de Bretagne rennes", "Rennes"),
        ("dentiste 69003 Lyon Cedex 03", "Lyon 3e Arrondissement"),
        ("12 décembre dentiste rennes", "Rennes"),
        ("dentiste le 2 mai a lyon", "Lyon"),
        ("kiné le 3 mars", None),
        ("le 14 juillet", None),
        ("1er mars 2027", None),
        ("chemin de brest", None),
        ("cedex", None),
        ("Rue 80120", "80120 Rue"),
        ("une place chez un dentiste à Lyon", "Lyon"),
    ],
)
def test_what_stands_in_an_address_or_a_date(typed: str, meant: str | None) -> None:
    place = reader().read(typed).place
    assert (place.name if place is not None else None) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dentiste menton", "Menton"),
        ("dentiste à Menton", "Menton"),
        ("bouton menton", None),
    ],
)
def test_a_town_called_as_a_complaint_is_meant_beside_a_care(typed: str, meant: str | None) -> None:
    place = reader().read(typed).place
    assert (place.name if place is not None else None) == meant
