"""What `$soonest` seeks, and its SQL conditions on a row of `found_by` and on a slot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from creneau_booking.storage.finding.local_times import LocalTimes
from creneau_booking.storage.mapping import visibility
from creneau_booking.storage.unshown import real_slot
from creneau_shared.fhir.search.request import NearValue
from creneau_shared.fhir.search.sql import Arguments

CELLS_MAX = 400
"""most cells (0.1° by 0.15°) that are looked into; a wider search reads as it comes"""
METRES_A_DEGREE = 111_195.0
WIDEST = 89.0
"""degrees of latitude beyond which a circle is taken to go around the pole"""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is sought. A kind must have one term of each group of `terms`, and none of `never`."""

    start: datetime
    end: datetime | None = None
    terms: tuple[tuple[str, ...], ...] = ()
    never: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    """codes, by which the index of places is read"""
    near: NearValue | None = None
    named: tuple[tuple[str, ...], ...] = ()
    """references (`Organization/12`, `Schedule/7`): the agenda must concern one of each group"""
    times: tuple[tuple[time, time], ...] = ()
    """half-open, in the agenda's own zone"""
    weekdays: tuple[int, ...] = ()
    """ISO: Monday is 1"""
    by_distance: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is sought, as SQL. `required`: a kind must bear one of these terms to be shown to the caller."""

    sought: Sought
    required: Sequence[str] | None
    now: datetime

    def in_time(self, row: str, arguments: Arguments) -> str:
        """Condition on a slot, whose agenda is joined as `<row>_agenda`: it begins within the window, and at the hours and
        on the days that are sought."""
        sought = self.sought
        parts = [f"{row}.start > {arguments.add(self.now, 'timestamptz')}"]
        if sought.end is not None:
            parts.append(f"{row}.start < {arguments.add(sought.end, 'timestamptz')}")
        if sought.times or sought.weekdays:
            parts.append(LocalTimes(sought.weekdays, sought.times).condition(row, arguments))
        return " AND ".join(parts)

    def fits(self, alias: str, arguments: Arguments, distance: str | None = None) -> str:
        """Condition on a row of `found_by`; `distance`: SQL of the distance, if it has been computed already."""
        sought = self.sought
        parts = [real_slot(alias)]
        parts += [f"{alias}.terms && {arguments.add(group, 'text[]')}" for group in sought.terms]
        if self.required is not None:
            parts.append(visibility.bears(self.required, alias, arguments))
        if sought.never:
            parts.append(f"NOT {alias}.terms && {arguments.add(sought.never, 'text[]')}")
        if sought.near is not None:
            metres = arguments.add(sought.near.distance_m, "double precision")
            reckoned = distance or self.distance(alias, arguments)
            parts.append(f"({alias}.latitude IS NOT NULL AND {reckoned} <= {metres})")
        return " AND ".join(parts)

    @staticmethod
    def in_boxes(alias: str, boxes: Sequence[Box], arguments: Arguments) -> str:
        """Condition on a row of `found_by`: it lies in one of these boxes, by their index."""
        parts = []
        for box in boxes:
            west, south, east, north = (arguments.add(side, "double precision") for side in box)
            place = f"point({alias}.longitude, {alias}.latitude)"
            parts.append(f"{place} <@ box(point({west}, {south}), point({east}, {north}))")
        return f"({' OR '.join(parts)})"

    def distance(self, alias: str, arguments: Arguments) -> str:
        """SQL: metres from the point, by the great circle."""
        near = self.sought.near
        if near is None:
            return "NULL::double precision"
        latitude = arguments.add(near.latitude, "double precision")
        longitude = arguments.add(near.longitude, "double precision")
        return (
            f"(2 * 6371008.8 * asin(least(1, sqrt(sin(radians({alias}.latitude - {latitude}) / 2) ^ 2"
            f" + cos(radians({latitude})) * cos(radians({alias}.latitude))"
            f" * sin(radians({alias}.longitude - {longitude}) / 2) ^ 2))))"
        )


Box = tuple[float, float, float, float]
"""west, south, east, north, in degrees"""


def boxes_around(near: NearValue, metres: float) -> list[Box]:
    """Returns boxes that hold everything within `metres` of the point: one, or two at the date line."""
    up = metres / METRES_A_DEGREE * 1.001
    south, north = near.latitude - up, near.latitude + up
    widest = max(abs(south), abs(north))
    across = up / math.cos(math.radians(widest)) if widest < WIDEST else 180.0
    if across >= 180:
        return [(-180.0, south, 180.0, north)]
    west, east = near.longitude - across, near.longitude + across
    boxes = [(west, south, east, north)]
    if west < -180:
        boxes.append((west + 360, south, 180.0, north))
    if east > 180:
        boxes.append((-180.0, south, east - 360, north))
    return boxes


def cells_around(near: NearValue) -> list[int] | None:
    """The cells in which something within the distance may lie (`found_cell`); None: too many."""
    up = near.distance_m / METRES_A_DEGREE * 1.001
    widest = min(89.0, abs(near.latitude) + up)
    across = up / max(0.01, math.cos(math.radians(widest)))
    # As `found_cell` reckons, so that no rounding puts a place beside its cell.
    south, north = (math.floor((near.latitude + d + 90) * 10) for d in (-up, up))
    west, east = (math.floor((near.longitude + d + 180) / 0.15) for d in (-across, across))
    if (north - south + 1) * (east - west + 1) > CELLS_MAX:
        return None
    return [y * 10_000 + x for y in range(south, north + 1) for x in range(west, east + 1)]
