"""The national packages beside HL7's own guides: each has rows of `profiles`, `code_systems` and `value_sets`. The
platform names these packages only here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import creneau_french

_GUIDES = (creneau_french,)

Row = dict[str, Any]


def national_profiles() -> Iterator[Row]:
    """The rows of the national profiles and extensions."""
    for guide in _GUIDES:
        yield from guide.profiles()


def national_code_systems() -> Iterator[Row]:
    """The rows of the national code systems."""
    for guide in _GUIDES:
        yield from guide.code_systems()


def national_value_sets() -> Iterator[Row]:
    """The rows of the national value sets."""
    for guide in _GUIDES:
        yield from guide.value_sets()


def commune_position(code: str) -> tuple[float, float] | None:
    """Latitude and longitude (degrees, WGS 84) of a commune by its national code; None: unknown commune or position."""
    return next((found for guide in _GUIDES if (found := guide.commune_position(code)) is not None), None)
