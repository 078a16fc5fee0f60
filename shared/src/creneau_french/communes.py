"""The communes of France (code officiel géographique 2026, arrondissements of Paris, Lyon and Marseille among them): names,
postal codes, positions.

Positions: GeoNames (CC BY 4.0), the position of the town. A commune that GeoNames lacks has the mean position of the
communes with its postal code (`approximate` c), or of the postal codes around (z); 37 communes have no position.
Arrondissements have the centre of their population, to some hundred metres (m).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_DATA: Final = files(__package__) / "data" / "communes.csv"


class Commune(NamedTuple):
    """One commune; degrees, WGS 84."""

    name: str
    postal_codes: tuple[str, ...]
    position: tuple[float, float] | None


@cache
def communes() -> Mapping[str, Commune]:
    """INSEE code (`44109`, `2A004`, `97411`) → commune. Read once, at first use (35,000 rows)."""
    rows = csv.reader(_DATA.read_text("utf-8").splitlines())
    next(rows)
    return {
        code: Commune(
            name,
            tuple(filter(None, postal_codes.split("|"))),
            (float(latitude), float(longitude)) if latitude else None,
        )
        for code, name, postal_codes, latitude, longitude, _ in rows
    }


def commune_position(code: str) -> tuple[float, float] | None:
    """Latitude and longitude of a commune; None when the code is no commune's, or the position is not known."""
    commune = communes().get(code)
    return commune.position if commune else None
