"""Converts coordinates of the French national grids, Lambert-93 (EPSG 2154) and UTM, to latitude and longitude. RGF93 and
the overseas systems equal WGS 84 to within centimetres. Formulas: IGN NT/G 71; Krüger's series for UTM."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

Projection = Callable[[float, float], tuple[float, float]]
"""(x, y) in metres → (latitude, longitude) in degrees"""

_A: Final = 6378137.0
_F: Final = 1 / 298.257222101
_E: Final = math.sqrt(_F * (2 - _F))

# Lambert-93: exponent, constant, coordinates of the pole (metres).
_N, _C, _XS, _YS = 0.725607765053267, 11754255.4260960, 700000.0, 12655612.0498760
_MERIDIAN: Final = math.radians(3)


def lambert93(x: float, y: float) -> tuple[float, float]:
    """Returns (latitude, longitude) in degrees from metres."""
    r = math.hypot(x - _XS, y - _YS)
    longitude = _MERIDIAN + math.atan((x - _XS) / (_YS - y)) / _N
    isometric = -math.log(r / _C) / _N
    latitude = 2 * math.atan(math.exp(isometric)) - math.pi / 2
    for _ in range(8):
        sine = _E * math.sin(latitude)
        latitude = 2 * math.atan(((1 + sine) / (1 - sine)) ** (_E / 2) * math.exp(isometric)) - math.pi / 2
    return math.degrees(latitude), math.degrees(longitude)


def utm(zone: int, *, south: bool) -> Projection:
    """Returns the function from metres of a UTM zone to (latitude, longitude) in degrees."""
    n = _F / (2 - _F)
    radius = _A / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    betas = (n / 2 - 2 * n**2 / 3 + 37 * n**3 / 96, n**2 / 48 + n**3 / 15, 17 * n**3 / 480)
    deltas = (2 * n - 2 * n**2 / 3 - 2 * n**3, 7 * n**2 / 3 - 8 * n**3 / 5, 56 * n**3 / 15)
    meridian, northing = zone * 6 - 183, 10_000_000.0 if south else 0.0

    def inverse(x: float, y: float) -> tuple[float, float]:
        xi, eta = (y - northing) / (0.9996 * radius), (x - 500_000.0) / (0.9996 * radius)
        xi_, eta_ = xi, eta
        for order, beta in enumerate(betas, 1):
            xi_ -= beta * math.sin(2 * order * xi) * math.cosh(2 * order * eta)
            eta_ -= beta * math.cos(2 * order * xi) * math.sinh(2 * order * eta)
        chi = math.asin(math.sin(xi_) / math.cosh(eta_))
        latitude = chi + sum(delta * math.sin(2 * order * chi) for order, delta in enumerate(deltas, 1))
        return math.degrees(latitude), meridian + math.degrees(math.atan2(math.sinh(eta_), math.cos(xi_)))

    return inverse


_ANTILLES: Final = utm(20, south=False)
_GUIANA: Final = utm(22, south=False)
_REUNION: Final = utm(40, south=True)
_SAINT_PIERRE: Final = utm(21, south=False)
_MAYOTTE: Final = utm(38, south=True)
_OVERSEAS: Final[Mapping[str, Projection]] = {
    "971": _ANTILLES,
    "972": _ANTILLES,
    "977": _ANTILLES,
    "978": _ANTILLES,
    "973": _GUIANA,
    "974": _REUNION,
    "975": _SAINT_PIERRE,
    "976": _MAYOTTE,
}
_EPSG: Final[Mapping[str, Projection]] = {
    "2154": lambert93,
    "9793": lambert93,
    "9794": lambert93,
    "4559": _ANTILLES,
    "5490": _ANTILLES,
    "2972": _GUIANA,
    "2975": _REUNION,
    "4467": _SAINT_PIERRE,
    "4471": _MAYOTTE,
}
"""code of the EPSG → projection: RGF93, RRAF91 and RGAF09, RGFG95, RGR92, RGSPM06, RGM04"""
_MAINLAND: Final = re.compile(r"0[1-9]|[1-8][0-9]|9[0-5]|2[AB]")
_NAMED_EPSG: Final = re.compile(r"EPSG\W*([0-9]+)", re.IGNORECASE)
_NAMED_ZONE: Final = re.compile(
    r"UTM[\W_]*(?:zone\s*)?(?:([0-9]{2})\s*([NS])|([NS])\s*([0-9]{2}))\b", re.IGNORECASE
)
_NAMED_LAMBERT: Final = re.compile(r"LAMBERT[\W_]*93\b", re.IGNORECASE)


def projection(source: str, department: str) -> Projection | None:
    """The projection that the source of a position names (`…,EPSG:5490 RGAF09/UTM Zone 20N (Antilles)`,
    `…,WGS84/UTM zone 21N`, `…,UTM_N20`, `…,LAMBERT_93`), else the one in which FINESS gives places of the département
    (`29`, `2A`, `974`). None if the source names another, or if neither is known."""
    if epsg := _NAMED_EPSG.search(source):
        return _EPSG.get(epsg[1])
    if zone := _NAMED_ZONE.search(source):
        return utm(int(zone[1] or zone[4]), south=(zone[2] or zone[3]).upper() == "S")
    if _NAMED_LAMBERT.search(source) or _MAINLAND.fullmatch(department):
        return lambert93
    return _OVERSEAS.get(department)
