"""National identifiers and their keys. A wrong key is refused where it enters the directory.

RPPS: 11 digits, Luhn key. IDNPS: a prefix digit (8 for RPPS, 0 for ADELI) before the number. SIREN and SIRET: by
python-stdnum, La Poste's key included. IDNST: a prefix digit (1 for FINESS, 3 for SIRET) before the number. FINESS:
9 characters. (Crib in ROR, Annuaire Santé and SAS guides.)

The rule: a value without the form of a number (length, digits) is refused. A wrong key is refused too, with one exception:
the deployment itself only gets a warning for an entry that claims a national register (`meta.profile` of FR Core, the
Annuaire Santé or the ROR), because the registers' own examples, and numbers in use, break their keys. Practices mistype, so
they are refused. A wrong FINESS key is only ever a warning. In a PractitionerRole the system of the RPPS numbers situations,
which have no key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from stdnum import luhn
from stdnum.fr import siren, siret

RPPS = "https://rpps.esante.gouv.fr"
RPPS_OF_BEFORE = "http://rpps.fr"
"""the system that the RPPS has in FR Core 1.1 and in the Annuaire Santé's first versions"""
NATIONAL_PERSON_ID = "urn:oid:1.2.250.1.71.4.2.1"
NATIONAL_STRUCTURE_ID = "urn:oid:1.2.250.1.71.4.2.2"
FINESS = "https://finess.esante.gouv.fr"
SIRENE = "https://sirene.fr"


_STRUCTURE_LENGTHS = frozenset({9, 10, 12, 14, 15})
"""digits of an IDNST: a FINESS, a rank of ADELI, a SIRET, a rank of RPPS, with their prefix or without"""


def _digits(value: str, length: int) -> bool:
    return len(value) == length and value.isascii() and value.isdigit()


def is_rpps(value: str) -> bool:
    """Eleven digits with a Luhn key."""
    return _digits(value, 11) and luhn.is_valid(value)


def is_national_person_id(value: str) -> bool:
    """Accepts `8` + RPPS, an RPPS without its prefix, `0` + ADELI, or an ADELI. Numbers with other prefixes (within a
    structure) have no key to check. Digits of another length, or with blanks between, are refused."""
    plain = value.replace(" ", "")
    if not (plain.isascii() and plain.isdigit()):
        return bool(plain)
    if value.startswith("8") and len(value) == 12:
        return is_rpps(value[1:])
    if len(value) == 11:
        return is_rpps(value)
    return value == plain and (
        len(value) == 9 or (value[0] == "0" and len(value) == 10) or value[0] not in "08"
    )


def is_sirene(value: str) -> bool:
    """SIREN (9 digits) or SIRET (14 digits), blanks allowed."""
    return bool(siren.is_valid(value) or siret.is_valid(value))


def finess_key_holds(value: str) -> bool:
    """Whether the last digit of a FINESS is its Luhn key; a Corsican letter counts as nothing."""
    return is_finess(value) and luhn.is_valid(value.replace("A", "0").replace("B", "0"))


def has_form(register: str, value: str) -> bool:
    """Whether a value has the length and the digits of a number of the register, whatever its key."""
    plain = value.replace(" ", "")
    return plain.isascii() and bool(re.fullmatch(_FORMS.get(register, ".+"), plain))


def is_finess(value: str) -> bool:
    """Nine characters; Corsican numbers carry a letter (2A, 2B)."""
    return re.fullmatch(r"[0-9][0-9AB][0-9]{7}", value) is not None


def is_national_structure_id(value: str) -> bool:
    """Accepts `1` + FINESS or `3` + SIRET; other prefixes (ranks of RPPS and ADELI) have no key to check. Digits of another
    length, or with blanks between, are refused."""
    plain = value.replace(" ", "")
    if value.startswith("3") and _digits(value, 15):
        return bool(siret.is_valid(value[1:]))
    if value.startswith("1") and len(value) == 10:
        return is_finess(value[1:])
    if plain.isascii() and plain.isdigit():
        return value == plain and len(plain) in _STRUCTURE_LENGTHS
    return bool(plain)


_FORMS: Mapping[str, str] = {
    "RPPS": r"[0-9]{11}",
    "IDNPS": r"8?[0-9]{11}",
    "IDNST": r"3[0-9]{14}",
    "SIREN/SIRET": r"[0-9]{9}|[0-9]{14}",
}
REGISTER_PROFILES = (
    "https://hl7.fr/ig/fhir/core/",
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/",
    "https://interop.esante.gouv.fr/ig/fhir/ror/",
)
"""beginnings of the profiles of the national registers"""

CHECKS: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    RPPS: ("RPPS", is_rpps),
    RPPS_OF_BEFORE: ("RPPS", is_rpps),
    NATIONAL_PERSON_ID: ("IDNPS", is_national_person_id),
    NATIONAL_STRUCTURE_ID: ("IDNST", is_national_structure_id),
    FINESS: ("FINESS", is_finess),
    "http://finess.sante.gouv.fr": ("FINESS", is_finess),
    SIRENE: ("SIREN/SIRET", is_sirene),
    "http://sirene.fr": ("SIREN/SIRET", is_sirene),
}
"""Identifier system → its name and the check of its values."""
