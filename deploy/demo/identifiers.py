"""Invented national identifiers: the right shape and the right key, in ranges that nobody was ever given.

RPPS numbers in use begin with 1, SIREN numbers never with 0, and the numbers of a FINESS département are
given from the bottom: 99…, 0… and 9… are therefore nobody's.
"""

from __future__ import annotations

from stdnum import luhn

from deploy.demo.codes import IDENTIFIER_TYPE, Resource, concept

IDNPS_SYSTEM = "urn:oid:1.2.250.1.71.4.2.1"
IDNST_SYSTEM = "urn:oid:1.2.250.1.71.4.2.2"

_FINESS_DEPARTMENT = {"973": "9703", "974": "9704"}


def _with_key(digits: str) -> str:
    return digits + str(luhn.calc_check_digit(digits))


def rpps(number: int) -> str:
    """The RPPS number of the `number`-th fictional professional: 11 digits, the last a Luhn key."""
    return _with_key(f"99{number:08d}")


def finess(department: str, number: int) -> str:
    """The FINESS number of the `number`-th fictional structure: 9 digits, the last a Luhn key."""
    prefix = _FINESS_DEPARTMENT.get(department, department)
    return _with_key(f"{prefix}9{number:0{7 - len(prefix)}d}")


def siret(number: int) -> str:
    """The SIRET of the `number`-th fictional practice: a SIREN (9 digits) and 5 digits, each with its key."""
    return _with_key(_with_key(f"0{number:07d}") + "0001")


def _identifier(kind: str, system: str, value: str, **more: str) -> Resource:
    return {**more, "type": concept(IDENTIFIER_TYPE, kind), "system": system, "value": value}


def of_practitioner(number: str) -> list[Resource]:
    """The identifiers of a professional known by RPPS: IDNPS (`8` + RPPS) and the plain RPPS."""
    return [
        _identifier("IDNPS", IDNPS_SYSTEM, f"8{number}"),
        _identifier("RPPS", "https://rpps.esante.gouv.fr", number),
    ]


def of_structure(*, finess: str | None = None, siret: str | None = None) -> list[Resource]:
    """The identifiers of a structure: IDNST (`1` + FINESS, else `3` + SIRET) and the plain number."""
    if finess is not None:
        national, plain = f"1{finess}", _identifier("FINEG", "https://finess.esante.gouv.fr", finess)
    elif siret is not None:
        national, plain = f"3{siret}", _identifier("SIRET", "https://sirene.fr", siret)
    else:
        raise ValueError("a structure needs a FINESS or a SIRET number")
    return [_identifier("IDNST", IDNST_SYSTEM, national, use="official"), plain]
