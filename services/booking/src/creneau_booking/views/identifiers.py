"""National identifiers of professionals and structures: the prefixed form that SAS exchanges, and the plain ones.

A value of the national system is a digit for the register, then the number in that register
(CI-SIS; SAS FAQ, « préfixes »). Stored values may have either form, and searches find both
(`creneau_shared.national_numbers`). They are read in every spelling that the directory takes
(`tests/contract/test_structures.py` compares).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from stdnum import luhn
from stdnum.fr import siret

from creneau_shared.fhir.storage.store import Resource
from creneau_shared.national_numbers import NATIONAL_PERSON, NATIONAL_STRUCTURE, PREFIXES

_PERSON = re.compile(r"8[0-9]{11}|0[0-9A-Z]{9}", re.ASCII)
_BARE_PERSON = {11: "8", 9: "0"}
"""Length of a number without prefix → the prefix that it lacks: RPPS or ADELI."""

_SIRET = re.compile(r"3[0-9]{14}", re.ASCII)
_BARE_FINESS = re.compile(r"[0-9][0-9AB][0-9]{7}", re.ASCII)
_BARE_SIRET_OR_RANK = re.compile(r"[0-9]{14}", re.ASCII)
_FINESS_IN_DIGITS = re.compile(r"1[0-9]{9}", re.ASCII)
_STRUCTURES_BY_PREFERENCE = (
    re.compile(r"1[0-9][0-9AB][0-9]{7}", re.ASCII),  # FINESS; 2A and 2B are Corsica
    _SIRET,
    re.compile(r"4[0-9]{14}", re.ASCII),  # RPPS and the rank of the practice
    re.compile(r"0[0-9]{11}", re.ASCII),  # ADELI and the rank of the practice
)


def prefixed_person(value: str) -> str:
    """Returns the national `value` with its prefix: 11 letters or digits are RPPS, 9 are ADELI; anything else stays."""
    prefix = _BARE_PERSON.get(len(value), "") if value.isascii() and value.isalnum() else ""
    return prefix + value


def person_number(identifiers: Iterable[Resource]) -> str | None:
    """Returns a professional's national number, prefixed: RPPS before ADELI before others; None if they have none."""
    found: list[str] = []
    for identifier in identifiers:
        system, value = identifier.get("system"), identifier.get("value", "")
        if value and system == NATIONAL_PERSON:
            found.append(prefixed_person(value))
        elif value and system in PREFIXES[NATIONAL_PERSON]:
            found.append(PREFIXES[NATIONAL_PERSON][system] + value)
    return min(found, key=_person_rank, default=None)


def _person_rank(value: str) -> int:
    if _PERSON.fullmatch(value) is None:
        return 2
    return 0 if value.startswith("8") else 1


def prefixed_structure(value: str) -> str:
    """Returns the national `value` with its prefix: 9 characters are a FINESS, 14 digits a SIRET; they are an RPPS number with
    the rank of a practice if only that one's key holds. Anything else stays."""
    if _BARE_FINESS.fullmatch(value):
        return f"1{value}"
    if not _BARE_SIRET_OR_RANK.fullmatch(value):
        return value
    is_rank = luhn.is_valid(value[:11]) and not siret.is_valid(value)
    return f"{'4' if is_rank else '3'}{value}"


def structure_number(identifiers: Sequence[Resource]) -> str | None:
    """Returns a structure's national number, prefixed: FINESS before SIRET before the ranks; None if it has none."""
    return _of_shape(_structure_numbers(identifiers), _STRUCTURES_BY_PREFERENCE)


def siret_number(identifiers: Sequence[Resource]) -> str | None:
    """Returns a structure's SIRET, prefixed; None if it has none."""
    return _of_shape(_structure_numbers(identifiers), (_SIRET,))


def cpts_number(identifiers: Sequence[Resource]) -> str | None:
    """Returns a CPTS's FINESS number, prefixed, as its profile takes it; None if it has none of that shape."""
    return _of_shape(_structure_numbers(identifiers), (_FINESS_IN_DIGITS,))


def _structure_numbers(identifiers: Sequence[Resource]) -> list[str]:
    found: list[str] = []
    for identifier in identifiers:
        system, value = identifier.get("system", NATIONAL_STRUCTURE), identifier.get("value", "")
        if system == NATIONAL_STRUCTURE:
            found.append(prefixed_structure(value))
        elif system in PREFIXES[NATIONAL_STRUCTURE]:
            found.append(PREFIXES[NATIONAL_STRUCTURE][system] + value.replace(" ", ""))
    return found


def _of_shape(numbers: Sequence[str], shapes: Sequence[re.Pattern[str]]) -> str | None:
    """Returns the first number of the first shape, else of the second, and so on; None if no number has any of them."""
    return next((number for shape in shapes for number in numbers if shape.fullmatch(number)), None)
