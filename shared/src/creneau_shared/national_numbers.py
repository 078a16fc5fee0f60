"""The spellings of the national numbers of professionals and structures.

One register stands under several systems: that of FR Core 2, those of FR Core 1.1 and of the Annuaire Santé's first versions,
and the national system, where a digit for the register goes before the number (CI-SIS; SAS FAQ, « préfixes »).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NATIONAL_PERSON: Final = "urn:oid:1.2.250.1.71.4.2.1"
"""IDNPS: the national system of professionals"""
NATIONAL_STRUCTURE: Final = "urn:oid:1.2.250.1.71.4.2.2"
"""IDNST: the national system of structures"""


@dataclass(frozen=True, slots=True)
class _Register:
    systems: tuple[str, ...]
    """where numbers stand without a prefix, the present one first"""
    form: re.Pattern[str]
    national: str = ""
    """the system where they stand with their prefix, if they do"""
    prefix: str = ""

    def plain(self, system: str, value: str) -> str | None:
        """A number without prefix and blanks; None if it is none of this register."""
        if system != self.national and system not in self.systems:
            return None
        bare = value.replace(" ", "")
        return next((one for one in (bare, bare.removeprefix(self.prefix)) if self.form.fullmatch(one)), None)

    def spellings(self, number: str) -> list[tuple[str, str]]:
        in_groups = " ".join((number[:3], number[3:6], number[6:9], number[9:])).rstrip()
        values = (number, in_groups) if self.systems == _SIRENE else (number,)
        spelled = (
            [(self.national, f"{self.prefix}{number}"), (self.national, number)] if self.national else []
        )
        return spelled + [(system, value) for system in self.systems for value in values]


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
    _Register(_SIRENE, re.compile(r"[0-9]{14}"), NATIONAL_STRUCTURE, "3"),
    _Register(_SIRENE, re.compile(r"[0-9]{9}")),
    _Register(("https://rppsrang.esante.gouv.fr",), re.compile(r"[0-9]{14}"), NATIONAL_STRUCTURE, "4"),
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


PREFIXES: Final = {
    national: {
        system: register.prefix
        for register in _REGISTERS
        if register.national == national
        for system in register.systems
    }
    for national in (NATIONAL_PERSON, NATIONAL_STRUCTURE)
}
"""national system → system of a register → the digit for it that goes before a number in the national system"""
OF_PERSONS: Final = frozenset({NATIONAL_PERSON, *PREFIXES[NATIONAL_PERSON]})
"""every system of professionals' national numbers"""
