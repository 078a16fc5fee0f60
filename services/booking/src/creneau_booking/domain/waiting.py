"""The waiting list, pure: who comes first, what a wish is for, and until when an offer is kept.

| | rule |
|---|---|
| order | clinical priority (`Appointment.priority`, the practice's: 1 first, 9 last, none or 0 as 5), then date of request |
| answer | a share of the time until the visit, within the settings' minimum and maximum; quiet hours do not count |
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

ORDINARY = 5
"""the rank of a wish without stated priority (iCalendar: 1 highest, 9 lowest, 0 undefined)"""
PARTS_OF_DAY = ("morning", "afternoon", "evening")
AFTERNOON_H, EVENING_H = 12, 18
"""the local hours at which afternoon and evening begin"""


@dataclass(frozen=True, slots=True)
class Near:
    """A circle: degrees (WGS 84), and a radius in kilometres."""

    latitude: float
    longitude: float
    radius_km: float


@dataclass(frozen=True, slots=True)
class Wish:
    """The slots for which somebody waits. A slot has to match one value of every criterion that is stated. Ids are without
    their type, references with it, codes are `system|code` or `code`; periods are half-open, None is open."""

    slots: frozenset[str] = frozenset()
    agendas: frozenset[str] = frozenset()
    """ids of Schedules"""
    people: frozenset[str] = frozenset()
    """Practitioner, PractitionerRole or Device"""
    services: frozenset[str] = frozenset()
    """HealthcareService"""
    places: frozenset[str] = frozenset()
    """ids of Locations"""
    near: Near | None = None
    specialties: frozenset[str] = frozenset()
    visit: frozenset[tuple[str, str]] = frozenset()
    """element (`serviceType` …) and code of what the visit is for, except the speciality; each element is a criterion, and
    so are the ways to come (`serviceType` too)"""
    times: frozenset[str] = frozenset()
    """parts of the day, by the clock of the agenda's place"""
    periods: tuple[tuple[datetime | None, datetime | None], ...] = ()

    @property
    def place_in_line(self) -> tuple[Collection[str], ...]:
        """The criteria by which a wish is found: if they change, the waiting time starts again."""
        return (self.slots, self.agendas, self.people, self.services, self.places, self.specialties)

    def is_over(self, now: datetime) -> bool:
        """Whether all wanted periods have passed."""
        if not self.periods:
            return False
        return all(
            high is not None and (high <= now or (low is not None and high <= low))
            for low, high in self.periods
        )


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """How long somebody may think about an offer."""

    share: float
    """of the time until the visit"""
    least: timedelta
    most: timedelta
    before_start: timedelta
    """an offer ends at least this long before its visit"""
    quiet_from: time
    quiet_until: time
    """the quiet hours (local time), in which nobody has to answer"""

    def until(self, now: datetime, start: datetime, zone: tzinfo) -> datetime | None:
        """Until when an offer made now of a visit at `start` is kept; None if less than `least` is left to answer. Quiet
        hours, by the clock of `zone`, do not count."""
        wanted = min(max(self.share * (start - now), self.least), self.most)
        end, last = self._awake_after(now, wanted, zone), start - self.before_start
        if end <= last:
            return end
        return last if self._awake_after(now, self.least, zone) <= last else None

    def _awake_after(self, now: datetime, wanted: timedelta, zone: tzinfo) -> datetime:
        """The moment at which `wanted` has passed since `now`, quiet hours not counted."""
        moment, left = self._awake_from(now, zone), wanted
        while True:
            rest = self._rest_after(moment, zone)
            if moment + left <= rest:
                return moment + left
            left -= rest - moment
            moment = self._awake_from(rest, zone)

    def _is_quiet(self, at: time) -> bool:
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= at < self.quiet_until
        return at >= self.quiet_from or at < self.quiet_until

    def _awake_from(self, moment: datetime, zone: tzinfo) -> datetime:
        return self._next(moment, self.quiet_until, zone) if self._is_quiet(_clock(moment, zone)) else moment

    def _rest_after(self, moment: datetime, zone: tzinfo) -> datetime:
        if self.quiet_from == self.quiet_until:
            return datetime.max.replace(tzinfo=moment.tzinfo) - timedelta(days=1)
        return self._next(moment, self.quiet_from, zone)

    def _next(self, moment: datetime, at: time, zone: tzinfo) -> datetime:
        """The next instant after `moment` at which the clock of `zone` shows `at`. If a clock change skips that time, the
        instant is computed as if it existed."""
        day = moment.astimezone(zone).date()
        for ahead in range(3):
            found = datetime.combine(day + timedelta(days=ahead), at, zone).astimezone(moment.tzinfo)
            if found > moment:
                return found
        raise AssertionError("no clock stands still for two days")


@dataclass(frozen=True, slots=True)
class Patience:
    """`answer`: how long an offer is kept. `at_once`: how many waiting wishes are compared with a slot at a time;
    `tried_max`: how many in all, before everybody may book it."""

    answer: AnswerTime
    at_once: int
    tried_max: int


def _clock(moment: datetime, zone: tzinfo) -> time:
    return moment.astimezone(zone).time()


def rank_of(priority: int | None) -> int:
    """The rank by which wishes are ordered: 1 to 9, the smallest first."""
    return min(priority, 9) if priority else ORDINARY
