"""National identifiers: what their keys must be. A wrong key is refused where it enters the directory.

RPPS: 11 digits, Luhn key. IDNPS: a prefix digit (8 for RPPS, 0 for ADELI) before the number. FINESS: 9 characters,
Luhn key over its digits. SIREN and SIRET: Luhn. (Crib in ROR, Annuaire Santé and SAS guides.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stdnum import luhn

RPPS = "https://rpps.esante.gouv.fr"
NATIONAL_PERSON_ID = "urn:oid:1.2.250.1.71.4.2.1"
FINESS = "https://finess.esante.gouv.fr"
SIRENE = "https://sirene.fr"


def _digits(value: str, length: int) -> bool:
    return len(value) == length and value.isascii() and value.isdigit()


def is_rpps(value: str) -> bool:
    """Eleven digits with a Luhn key."""
    return _digits(value, 11) and luhn.is_valid(value)


def is_national_person_id(value: str) -> bool:
    """`8` + RPPS; other prefixes (ADELI, internal numbers behind a structure) have no key to check."""
    if value.startswith("8") and _digits(value, 12):
        return is_rpps(value[1:])
    return bool(value)


def is_sirene(value: str) -> bool:
    """SIREN (9 digits) or SIRET (14 digits). La Poste's SIRETs follow another rule and pass by length."""
    compact = value.replace(" ", "")
    if compact.startswith("356000000"):
        return _digits(compact, 14) or _digits(compact, 9)
    return (_digits(compact, 9) or _digits(compact, 14)) and luhn.is_valid(compact)


def is_finess(value: str) -> bool:
    """Nine characters; Corsican numbers carry a letter (2A, 2B)."""
    return len(value) == 9 and value.isascii() and value.isalnum() and value[3:].isdigit()


CHECKS: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    RPPS: ("RPPS", is_rpps),
    NATIONAL_PERSON_ID: ("IDNPS", is_national_person_id),
    FINESS: ("FINESS", is_finess),
    SIRENE: ("SIREN/SIRET", is_sirene),
}
"""Identifier system → its name and the check of its values."""
