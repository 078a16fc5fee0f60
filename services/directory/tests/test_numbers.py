"""National numbers: what has the form of one, and what is nobody's."""

from __future__ import annotations

import pytest

from creneau_directory.domain.identifiers import is_national_person_id, is_national_structure_id


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("899000000010", True),
        ("99000000010", True),  # without its prefix
        ("0759912345", True),
        ("759912345", True),
        ("02A9912345", True),  # of Corsica
        ("3456780581/11242343", True),  # within a structure
        ("899000000011", False),
        ("99000000011", False),
        ("81484118126", False),  # a digit is missing
        ("8 99000000010", False),  # found by nobody
        ("8990000000107", False),
        ("07599123456", False),
        ("", False),
    ],
)
def test_the_number_of_a_professional(value: str, right: bool) -> None:
    assert is_national_person_id(value) is right


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("1350000030", True),
        ("12A0000014", True),
        ("377480085838565", True),
        ("377480085838566", False),
        ("335600000000048", True),
        ("3 356 000 000 00048", False),
        ("12900000", False),
        ("412345678912345", True),
        ("0759912345/12", True),
        ("", False),
    ],
)
def test_the_number_of_a_structure(value: str, right: bool) -> None:
    assert is_national_structure_id(value) is right
