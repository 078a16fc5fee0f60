"""The spellings of the national numbers of professionals and structures.

One register stands under several systems: that of FR Core 2, those of FR Core 1.1 and of the Annuaire Santé's first versions,
and the national system, where a digit for the register goes before the number (CI-SIS; SAS FAQ, « préfixes »). Many leave
the digit out; the length says which register is meant then, and of fourteen digits the key: a SIRET, or the RPPS number of
a professional with the rank of their practice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stdnum import luhn
from stdnum.fr import siret

NATIONAL_PERSON: Final = "urn:oid:1.2.250.1.71.4.2.1"
"""IDNPS: the national system of professionals"""
NATIONAL_STRUCTURE: Final = "urn:oid:1.2.250.1.71.4.2.2"
"""IDNST: the national system of structures"""


def _is_rank(number: str) -> bool:
    """Whether fourteen digits without prefix are an RPPS number with a rank: only that one's key holds."""
    return bool(luhn.is_valid(number[:11]) and not siret.is_valid(number))


@dataclass(frozen=True, slots=True)
class _Register:
    systems: tuple[str, ...]
    """where numbers stand without a prefix, the present one first"""
    form: re.Pattern[str]
    national: str | None = None
    """the system where they stand with their prefix, if they do"""
    prefix: str = ""
    is_meant: Callable[[str], bool] = lambda _: True
    """whether a number of this form that stands in the national system without a prefix is of this register"""

    def plain(self, system: str, value: str) -> str | None:
        """A number without prefix and blanks; None if it is none of this register."""
        if system != self.national and system not in self.systems:
            return None
        bare = value.replace(" ", "")
        if self.form.fullmatch(bare):
            return bare if system in self.systems or self.is_meant(bare) else None
        number = bare.removeprefix(self.prefix)
        return number if self.form.fullmatch(number) else None

    def spellings(self, number: str) -> list[tuple[str, str]]:
        spelled = [(system, number) for system in self.systems]
        if self.national is None:
            return spelled
        without = [(self.national, number)] if self.is_meant(number) else []
        return [(self.national, f"{self.prefix}{number}"), *without, *spelled]


_SIRENE: Final = ("https://sirene.fr", "http://sirene.fr")
_REGISTERS: Final = (
    _Register(
        ("https://rpps.esante.gouv.fr", "http://rpps.fr"), re.compile(r"[0-9]{11}"), NATIONAL_PERSON, "8"
    ),
    _Register(
        ("https://adeli.esante.gouv.fr", "http://adeli.fr"), re.compile(r"[0-9A-Z]{9}"), NATIONAL_PERSON, "0"
    ),
    _Register(
        ("https://finess.esante.gouv.fr", "http://finess.sante.gouv.fr"),
        re.compile(r"[0-9][0-9AB][0-9]{7}"),
        NATIONAL_STRUCTURE,
        "1",
    ),
    _Register(
        _SIRENE, re.compile(r"[0-9]{14}"), NATIONAL_STRUCTURE, "3", lambda number: not _is_rank(number)
    ),
    _Register(_SIRENE, re.compile(r"[0-9]{9}")),
    _Register(
        ("https://rppsrang.esante.gouv.fr",), re.compile(r"[0-9]{14}"), NATIONAL_STRUCTURE, "4", _is_rank
    ),
    _Register(("https://adelirang.esante.gouv.fr",), re.compile(r"[0-9]{11}"), NATIONAL_STRUCTURE, "0"),
)


def spellings(system: str, value: str) -> list[tuple[str, str]]:
    """Every (system, value) under which the same number may stand, the given one first; that alone for any other identifier."""
    found = [(system, value)]
    for register in _REGISTERS:
        number = register.plain(system, value)
        if number is not None:
            found += register.spellings(number)
    return list(dict.fromkeys(found))


def without_blanks(system: str, value: str) -> str:
    """A national number without the blanks between its digits; any other value as it is."""
    if all(register.plain(system, value) is None for register in _REGISTERS):
        return value
    return value.replace(" ", "")


def prefixed(national: str, system: str, value: str) -> str | None:
    """The number as it stands in the `national` system, with the digit of its register; None if it is of none of the
    registers there."""
    for register in _REGISTERS:
        if register.national == national and (number := register.plain(system, value)) is not None:
            return f"{register.prefix}{number}"
    return None


OF_PERSONS: Final = frozenset(
    {NATIONAL_PERSON}.union(*(one.systems for one in _REGISTERS if one.national == NATIONAL_PERSON))
)
"""every system of professionals' national numbers"""
