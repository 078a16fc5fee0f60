"""National identifiers of professionals and structures: the prefixed form that SAS exchanges, and the plain ones.

They are read in every spelling that the directory takes (`creneau_shared.national_numbers`;
`tests/contract/test_structures.py` compares).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from creneau_shared.fhir.storage.store import Resource
from creneau_shared.national_numbers import NATIONAL_PERSON, NATIONAL_STRUCTURE, prefixed

_PERSON = re.compile(r"8[0-9]{11}|0[0-9A-Z]{9}", re.ASCII)
_SIRET = re.compile(r"3[0-9]{14}", re.ASCII)
_FINESS_IN_DIGITS = re.compile(r"1[0-9]{9}", re.ASCII)
_STRUCTURES_BY_PREFERENCE = (
    re.compile(r"1[0-9][0-9AB][0-9]{7}", re.ASCII),  # FINESS; 2A and 2B are Corsica
    _SIRET,
    re.compile(r"4[0-9]{14}", re.ASCII),  # RPPS and the rank of the practice
    re.compile(r"0[0-9]{11}", re.ASCII),  # ADELI and the rank of the practice
)


def person_number(identifiers: Iterable[Resource]) -> str | None:
    """Returns a professional's national number, prefixed: RPPS before ADELI before others; None if they have none."""
    found = _numbers(identifiers, NATIONAL_PERSON)
    return min(found, key=_person_rank, default=None)


def _person_rank(value: str) -> int:
    if _PERSON.fullmatch(value) is None:
        return 2
    return 0 if value.startswith("8") else 1


def structure_number(identifiers: Sequence[Resource]) -> str | None:
    """Returns a structure's national number, prefixed: FINESS before SIRET before the ranks; None if it has none."""
    return _of_shape(_structure_numbers(identifiers), _STRUCTURES_BY_PREFERENCE)


def siret_number(identifiers: Sequence[Resource]) -> str | None:
    """Returns a structure's SIRET, prefixed; None if it has none."""
    return _of_shape(_structure_numbers(identifiers), (_SIRET,))


def cpts_number(identifiers: Sequence[Resource]) -> str | None:
    """Returns a CPTS's FINESS number, prefixed, as its profile takes it; None if it has none of that shape."""
    return _of_shape(_structure_numbers(identifiers), (_FINESS_IN_DIGITS,))


def _structure_numbers(identifiers: Iterable[Resource]) -> list[str]:
    with_system = ({"system": NATIONAL_STRUCTURE, **identifier} for identifier in identifiers)
    return _numbers(with_system, NATIONAL_STRUCTURE)


def _numbers(identifiers: Iterable[Resource], national: str) -> list[str]:
    """Returns the numbers with their prefix, and what else stands in the `national` system as it is."""
    found = []
    for identifier in identifiers:
        system, value = identifier.get("system", ""), identifier.get("value", "")
        number = prefixed(national, system, value) or (value if system == national else "")
        if number:
            found.append(number)
    return found


def _of_shape(numbers: Sequence[str], shapes: Sequence[re.Pattern[str]]) -> str | None:
    """Returns the first number of the first shape, else of the second, and so on; None if no number has any of them."""
    return next((number for shape in shapes for number in numbers if shape.fullmatch(number)), None)
