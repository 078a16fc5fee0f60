"""The vocabulary is data that people edit: whatever they write is held to its rules here."""

from __future__ import annotations

from collections import Counter

import pytest

from creneau_directory.domain.care.places import gazetteer, place_key
from creneau_directory.domain.care.plan import SECTORS
from creneau_directory.domain.care.situation import FACETS
from creneau_directory.domain.care.vocabulary import FILTERS, KINDS, read_table, vocabulary
from creneau_directory.operations.care_answer import WHEN, coding_of
from creneau_shared.fhir.terminology.catalogue import catalogue
from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES
from creneau_shared.spelling import fold

CARES = vocabulary().cares


def test_each_code_exists() -> None:
    """In its nomenclature, as the Agence du Numérique en Santé publishes it."""
    unknown = [code for care in CARES.values() for code in care.codes if "display" not in coding_of(code)]
    assert unknown == []


def test_every_profession_and_speciality_is_some_care() -> None:
    known = {code for care in CARES.values() for code in care.codes}
    for kind, name in (("G15", "TRE_G15-ProfessionSante"), ("R38", "TRE_R38-SpecialiteOrdinale")):
        system = f"https://mos.esante.gouv.fr/NOS/{name}/FHIR/{name.replace('_', '-')}"
        codes = {f"{kind}:{code}" for code in catalogue()[system].concepts}
        assert codes - known <= {"G15:10"}, "a doctor is known by the speciality"


def test_no_term_stands_twice() -> None:
    counted = Counter(fold(row["term"]) for row in read_table("words.csv"))
    assert [term for term, count in counted.items() if count > 1] == []


@pytest.mark.parametrize(
    "term",
    [
        "tiers payant",
        "cmu",
        "c2s",
        "ame",
        "carte vitale",
        "mutuelle",
        "gratuit",
        "remboursé",
        "prix",
        "disponible",
        "meilleur",
        "gentil",
        "spécialiste",
        "hôpital",
        "parking",
        "quartier",
        "étudiant",
        "gonflé",
        "rouge",
        "chronique",
        "semaine",
        "opération",
        "cheap",
        "insurance",
        "best",
        "week",
    ],
)
def test_a_word_that_carries_meaning_is_not_among_those_that_say_nothing(term: str) -> None:
    """What the directory has nothing to compare with is aside, and told; `skip` is dropped without a word."""
    [row] = [row for row in read_table("words.csv") if row["term"] == term]
    assert row["kind"] == "aside"


@pytest.mark.parametrize("row", read_table("words.csv")[::97], ids=lambda row: str(row["term"]))
def test_some_rows_read_as_they_are_written(row: dict[str, str]) -> None:
    assert row["kind"] in KINDS
    assert row["language"] in ("fr", "en")


def test_every_row_is_whole() -> None:
    for row in read_table("words.csv"):
        assert fold(row["term"]), row
        assert row["kind"] in KINDS, row
        assert row["language"] in ("fr", "en"), row
        assert 0 < float(row["weight"]) <= 1, row
    for term in vocabulary().terms:
        if term.kind == "when":
            assert term.targets, term
            assert all(value in WHEN for value, _ in term.targets), term
        if term.kind in ("care", "motive"):
            assert term.targets, term
            for key, share in term.targets:
                assert key in CARES, term
                assert 0 < share <= 1, term
        elif term.kind in FILTERS:
            assert term.targets, term
        if term.kind != "motive":  # who helps may be told after whom to call first
            assert bool(term.calls) == (term.kind in ("emergency", "event")), term
        if term.kind in ("event", "past"):
            assert {key for key, _ in term.targets} <= set(CARES), term


def test_cares_propose_others_that_exist() -> None:
    for care in CARES.values():
        assert care.instead is None or care.instead in CARES
        assert care.french
        assert care.english
        assert care.codes


def test_every_number_to_call_is_told() -> None:
    numbers = {number for term in vocabulary().terms for number in term.calls}
    assert numbers == {"15", "119", "3114", "3919"}
    assert {f"call-{number}" for number in numbers} <= set(ISSUE_CODES)


def test_filters_are_what_situations_have() -> None:
    assert set(FACETS) - {"profession", "specialty", "commune"} <= set(FILTERS)
    sectors = {value for term in vocabulary().terms if term.kind == "sector" for value, _ in term.targets}
    assert {code for value in sectors for code in SECTORS.get(value, (value,))} <= {"0", "1", "2", "3"}


def test_other_names_are_those_of_places_that_exist() -> None:
    for row in read_table("place_names.csv"):
        kind, _, code = row["place"].partition(":")
        regions = gazetteer().region_of
        known = {"c": set(gazetteer().communes), "d": set(regions), "r": set(regions.values())}
        assert code in known[kind], row
        if kind == "c" and row["note"]:
            assert gazetteer().communes[code].name == row["note"]
    counted = Counter(place_key(row["name"]) for row in read_table("place_names.csv"))
    assert [name for name, count in counted.items() if count > 1] == []
