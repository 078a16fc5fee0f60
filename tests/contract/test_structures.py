"""Numbers of structures: what the directory takes, booking reads. Each service knows the spellings by itself."""

from __future__ import annotations

import pytest

from creneau_booking.views.sas import identifiers as booking
from creneau_directory.domain import identifiers as directory

FINESS, SIRET, RANK = "350000030", "77480085838565", "99000000010001"


@pytest.mark.parametrize(
    ("system", "value", "number"),
    [
        (directory.NATIONAL_STRUCTURE_ID, f"1{FINESS}", f"1{FINESS}"),
        (directory.NATIONAL_STRUCTURE_ID, FINESS, f"1{FINESS}"),
        (directory.NATIONAL_STRUCTURE_ID, "12A0000014", "12A0000014"),
        (directory.NATIONAL_STRUCTURE_ID, f"3{SIRET}", f"3{SIRET}"),
        (directory.NATIONAL_STRUCTURE_ID, SIRET, f"3{SIRET}"),
        (directory.NATIONAL_STRUCTURE_ID, f"4{RANK}", f"4{RANK}"),
        (directory.NATIONAL_STRUCTURE_ID, RANK, f"4{RANK}"),
        (directory.NATIONAL_STRUCTURE_ID, "075991234501", "075991234501"),
        (directory.FINESS, FINESS, f"1{FINESS}"),
        (directory.SIRENE, SIRET, f"3{SIRET}"),
        ("http://sirene.fr", SIRET, f"3{SIRET}"),
        ("http://sirene.fr", "774 800 858 38565", f"3{SIRET}"),
    ],
)
def test_what_the_directory_takes_is_read(system: str, value: str, number: str) -> None:
    assert directory.CHECKS[system][1](value)
    assert booking.structure_number([{"system": system, "value": value}]) == number


def test_every_system_that_the_directory_checks_is_known() -> None:
    """Of structures and people: a new one there is one to be read here."""
    known = {
        directory.RPPS: "99000000010",
        "http://rpps.fr": "99000000010",
        directory.NATIONAL_PERSON_ID: "899000000010",
        directory.NATIONAL_STRUCTURE_ID: FINESS,
        directory.FINESS: FINESS,
        "http://finess.sante.gouv.fr": FINESS,
        directory.SIRENE: SIRET,
        "http://sirene.fr": SIRET,
    }
    assert known.keys() == directory.CHECKS.keys()
    for system, value in known.items():
        named = [{"system": system, "value": value}]
        assert booking.structure_number(named) or booking.person_number(named)
