"""Converts coordinates of the French national grids, Lambert-93 (EPSG 2154) and UTM, to latitude and longitude. RGF93 and
the overseas systems equal WGS 84 to within centimetres. Formulas: IGN NT/G 71; Krüger's series for UTM."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

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


def utm(zone: int, *, south: bool) -> Callable[[float, float], tuple[float, float]]:
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


_OVERSEAS: Final[Mapping[str, Callable[[float, float], tuple[float, float]]]] = {
    "971": utm(20, south=False),
    "972": utm(20, south=False),
    "977": utm(20, south=False),
    "978": utm(20, south=False),
    "973": utm(22, south=False),
    "974": utm(40, south=True),
    "975": utm(21, south=False),
    "976": utm(38, south=True),
}


def national(department: str, x: float, y: float) -> tuple[float, float]:
    """Returns (latitude, longitude) in degrees from the metres that FINESS gives in a département (`29`, `974`)."""
    return _OVERSEAS.get(department, lambert93)(x, y)
