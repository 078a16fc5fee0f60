"""The French additions to FHIR, as data.

Profiles and extensions: FR Core 2.2.0 (HL7 France), SAS 1.2.0, GAP 3.0.0, ROR 0.7.0 (ANS).
Code systems and value sets that these bind: FR Core, NOS, SAS.

The rows are as published, in the shape that the platform compiles. The platform uses only the functions of this package
(`creneau_shared.fhir.national`), and this package does not import the platform. A new edition of a guide is a new file
here. Labels and codes: FR Core (CC0), the Agence du Numérique en Santé (Licence Ouverte, CC0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

from creneau_french.communes import commune_position

__all__ = ["code_systems", "commune_position", "profiles", "value_sets"]

_DATA: Final = files(__package__) / "data"
_GUIDES: Final = ("fr-core-2.2.0", "sas-1.2.0", "gap-3.0.0", "ror-0.7.0")
_CODE_SYSTEMS: Final = ("fr-core", "nos", "sas")

Row = dict[str, Any]


def profiles() -> Iterator[Row]:
    """Profiles and extensions: url, name, version, publisher, type, base, elements (rows of the differential), context. A row
    with `heldBy` is held by that service's own rule."""
    for guide in _GUIDES:
        yield from _read(f"profiles/{guide}.json")


def code_systems() -> Iterator[Row]:
    """Code systems: url, name, publisher, …, concepts as `[code, display, parent or parents or null, 1 when closed]`."""
    for name in _CODE_SYSTEMS:
        yield from _read(f"code_systems/{name}.json")


def value_sets() -> Iterator[Row]:
    """Value sets: url, name, publisher, compose as in FHIR."""
    yield from _read("value_sets.json")


def _read(path: str) -> Iterator[Row]:
    yield from json.loads((_DATA / path).read_bytes())
