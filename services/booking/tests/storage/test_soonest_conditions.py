"""The squares in which `$soonest` looks for what is near a point hold all of it."""

from __future__ import annotations

import math
import random

import pytest

from creneau_booking.storage.finding.soonest.conditions import boxes_around
from creneau_shared.fhir.search.request import NearValue

EARTH_M = 6_371_008.8


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """By the great circle, of (latitude, longitude)."""
    (south, west), (north, east) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = (
        math.sin((north - south) / 2) ** 2
        + math.cos(south) * math.cos(north) * math.sin((east - west) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(min(1, math.sqrt(half)))


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(48.86, 2.35), (-21.1, 55.5), (-13.3, -176.2), (0, 179.99), (0, -180), (70, 20), (89.5, 0), (-90, 10)],
)
@pytest.mark.parametrize("metres", [1, 300, 20_000, 500_000])
def test_whatever_is_near_lies_in_them(latitude: float, longitude: float, metres: float) -> None:
    """On all sides, also where the date changes and around a pole."""
    chance = random.Random(5)
    boxes = boxes_around(NearValue(latitude, longitude, metres), metres)
    near = 0
    for _ in range(2_000):
        up = math.degrees(metres / EARTH_M)
        place = (
            max(-90.0, min(90.0, latitude + chance.uniform(-up, up))),
            (longitude + chance.uniform(-1.2, 1.2) * up / max(0.005, math.cos(math.radians(latitude))) + 180)
            % 360
            - 180,
        )
        if distance_m((latitude, longitude), place) > metres:
            continue
        near += 1
        assert any(w <= place[1] <= e and s <= place[0] <= n for w, s, e, n in boxes), place
    assert near > 100


def test_they_are_not_much_larger() -> None:
    """A square of twice the radius, so that hardly more is looked at than has to be."""
    [(west, south, east, north)] = boxes_around(NearValue(48.86, 2.35, 20_000), 1_000)
    assert (north - south) * 111.195 == pytest.approx(2, rel=0.01)
    assert (east - west) * 111.195 * math.cos(math.radians(48.86)) == pytest.approx(2, rel=0.01)
