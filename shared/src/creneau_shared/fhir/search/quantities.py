"""Quantities made comparable: durations in years, lengths in metres, masses in kilograms (UCUM); others as they are.

A stored quantity is found by its number alone, and by its number in the common unit of its kind (`age-range-low|a`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

_UCUM: Final = ("unitsofmeasure.org", "TRE_R247-UcumUniteMesure")
"""what the addresses of UCUM have in them: HL7's, its https form (ROR), the NOS's copy"""

_YEAR_DAYS: Final = Decimal("365.25")
_COMMON: Final[Mapping[str, tuple[str, Decimal]]] = {
    "a": ("a", Decimal(1)),
    "mo": ("a", 1 / Decimal(12)),
    "wk": ("a", 7 / _YEAR_DAYS),
    "d": ("a", 1 / _YEAR_DAYS),
    "h": ("a", 1 / (_YEAR_DAYS * 24)),
    "min": ("a", 1 / (_YEAR_DAYS * 24 * 60)),
    "km": ("m", Decimal(1000)),
    "m": ("m", Decimal(1)),
    "cm": ("m", Decimal("0.01")),
    "mm": ("m", Decimal("0.001")),
    "kg": ("kg", Decimal(1)),
    "g": ("kg", Decimal("0.001")),
    "t": ("kg", Decimal(1000)),
}
"""UCUM code → the common unit of its kind, and how much of it it is"""


def common_unit(system: str, code: str) -> tuple[str, Decimal]:
    """By which name quantities in a unit are kept, and what to multiply them by."""
    known = _COMMON.get(code) if not system or any(part in system for part in _UCUM) else None
    if known is not None:
        return known
    foreign = system and not any(part in system for part in _UCUM)
    return (f"{system}|{code}" if foreign else code), Decimal(1)


def unit_of(quantity: Mapping[str, Any], default: str | None) -> tuple[str, str] | None:
    """System and code of a stored Quantity (or Money); None: it has none, and the parameter implies none."""
    code = quantity.get("code") or quantity.get("unit") or quantity.get("currency")
    if isinstance(code, str):
        return str(quantity.get("system", "")), code
    return ("", default) if default is not None else None
