"""Quantities made comparable: durations in years, lengths in metres, masses in kilograms (UCUM); others as they are.

A stored quantity is found by its number alone, and by its number in the common unit of its kind (`age-range-low|a`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

_UCUM: Final = ("unitsofmeasure.org", "TRE_R247-UcumUniteMesure")
"""parts of the addresses of UCUM: HL7's, its https form (ROR), the NOS's copy"""

_DECIMALS: Final = 18
"""decimals to which a quantity is rounded, once, after its exact conversion into another unit"""
_DAY: Final = Fraction(4, 1461)
"""one day as a part of a year of 365.25 days"""
_COMMON: Final[Mapping[str, tuple[str, Fraction]]] = {
    "a": ("a", Fraction(1)),
    "mo": ("a", Fraction(1, 12)),
    "wk": ("a", 7 * _DAY),
    "d": ("a", _DAY),
    "h": ("a", _DAY / 24),
    "min": ("a", _DAY / (24 * 60)),
    "km": ("m", Fraction(1000)),
    "m": ("m", Fraction(1)),
    "cm": ("m", Fraction(1, 100)),
    "mm": ("m", Fraction(1, 1000)),
    "kg": ("kg", Fraction(1)),
    "g": ("kg", Fraction(1, 1000)),
    "t": ("kg", Fraction(1000)),
}
"""UCUM code → the common unit of its kind, and the factor to it"""


def in_common_unit(number: Decimal, system: str, code: str) -> tuple[str, Decimal]:
    """The name of the unit in which a quantity is kept, and its number there: equal for equal quantities of one kind."""
    name, factor = _common_unit(system, code)
    if factor == 1:
        return name, number
    scaled = round(Fraction(number) * factor * 10**_DECIMALS)
    return name, Decimal(f"{scaled}e-{_DECIMALS}")


def _common_unit(system: str, code: str) -> tuple[str, Fraction]:
    known = _COMMON.get(code) if not system or any(part in system for part in _UCUM) else None
    if known is not None:
        return known
    foreign = system and not any(part in system for part in _UCUM)
    return (f"{system}|{code}" if foreign else code), Fraction(1)


def unit_of(quantity: Mapping[str, Any], default: str | None) -> tuple[str, str] | None:
    """System and code of a stored Quantity (or Money); None: it has none, and the parameter implies none."""
    code = quantity.get("code") or quantity.get("unit") or quantity.get("currency")
    if isinstance(code, str):
        return str(quantity.get("system", "")), code
    return ("", default) if default is not None else None
