"""What a calendar file says of the clock is read as it was meant, by Outlook too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Timezone

from creneau_shared.clock import ZONES
from creneau_shared.vtimezone import calendar_times, changes_between, timezone_bytes

STEADY = (
    "Indian/Reunion",
    "Indian/Mayotte",
    "America/Cayenne",
    "America/Martinique",
    "Pacific/Noumea",
    "Pacific/Tahiti",
)


def observances(zone: str, year: int = 2026) -> dict[str, list[Any]]:
    component = Timezone.from_ical(timezone_bytes(zone, year))
    found: dict[str, list[Any]] = {"STANDARD": [], "DAYLIGHT": []}
    for part in component.subcomponents:
        found[str(part.name)].append(part)
    return found


@pytest.mark.parametrize(
    ("zone", "spring", "autumn"),
    [
        (
            "Europe/Paris",
            ("FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "02:00"),
            ("FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "03:00"),
        ),
        (
            "America/Miquelon",
            ("FREQ=YEARLY;BYDAY=2SU;BYMONTH=3", "02:00"),
            ("FREQ=YEARLY;BYDAY=1SU;BYMONTH=11", "02:00"),
        ),
    ],
)
@pytest.mark.parametrize("year", range(2025, 2032))
def test_each_change_is_a_yearly_rule_from_its_local_onset(
    zone: str, spring: tuple[str, str], autumn: tuple[str, str], year: int
) -> None:
    found = observances(zone, year)
    for parts, (rule, clock) in ((found["DAYLIGHT"], spring), (found["STANDARD"], autumn)):
        assert len(parts) == 1
        said = dict(pair.split("=") for pair in parts[0]["rrule"].to_ical().decode().split(";"))
        assert said == dict(pair.split("=") for pair in rule.split(";"))
        onset = parts[0]["dtstart"].dt
        assert f"{onset:%H:%M}" == clock
        before = parts[0]["tzoffsetfrom"].td
        assert (onset - before).replace(tzinfo=UTC) in {
            change.at for change in changes_between(ZoneInfo(zone), year - 1, year + 2)
        }


@pytest.mark.parametrize("zone", STEADY)
def test_a_clock_that_never_changes_is_one_offset(zone: str) -> None:
    found = observances(zone)
    assert (len(found["STANDARD"]), len(found["DAYLIGHT"])) == (1, 0)
    offset = datetime(2026, 6, 1, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert found["STANDARD"][0]["tzoffsetto"].td == offset


@pytest.mark.parametrize("year", [2026, 2027])
def test_what_is_written_of_a_zone_is_read_as_its_clock(year: int) -> None:
    """By a library, which writes the same lines: the offsets before and after each change of each zone."""
    for zone in sorted(ZONES):
        written = timezone_bytes(zone, year)
        component: Any = Timezone.from_ical(written)
        assert component.to_ical() == written
        for part in component.subcomponents:
            at = (part["dtstart"].dt - part["tzoffsetfrom"].td).replace(tzinfo=UTC)
            if at.year >= year - 1:
                before = (at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).utcoffset()
                told = (part["tzoffsetfrom"].td, part["tzoffsetto"].td)
                assert told == (before, at.astimezone(ZoneInfo(zone)).utcoffset()), zone


@pytest.mark.parametrize("minute", [0, 30, 60, 90, 120])
def test_every_instant_of_the_repeated_hour_is_told_apart(minute: int) -> None:
    """The night of 25 October 2026 in Paris: 02:30 comes twice, and a bare local time means the first of them."""
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC) + timedelta(minutes=minute)
    end = start + timedelta(minutes=20)
    for said, instant in zip(calendar_times(start, end, ZoneInfo("Europe/Paris")), (start, end), strict=True):
        read = said if said.tzinfo is UTC else said.replace(fold=0)
        assert read.astimezone(UTC) == instant
