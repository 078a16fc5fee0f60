"""What strangers wrote is read in a process beside, which no text outlives its limits in."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from creneau_booking.domain.not_read import TooLargeError, UnreadableError
from creneau_booking.handlers.outside import foreign_text
from creneau_booking.handlers.outside.foreign_text import ForeignText

PARIS = ZoneInfo("Europe/Paris")
WITHIN = (datetime(2026, 10, 19, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
FOUND = [(datetime(2026, 10, 20, 7, tzinfo=UTC), datetime(2026, 10, 20, 8, tzinfo=UTC))]

ZONE = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:{rule}
END:STANDARD
END:VTIMEZONE
"""
YEARLY = "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"
ENDLESS = "FREQ=SECONDLY"


def a_calendar(rule: str = YEARLY, name: str = "Customized Time Zone") -> bytes:
    """An event at nine, in a time zone that the calendar itself defines."""
    event = f"BEGIN:VEVENT\nUID:1\nDTSTART;TZID={name}:20261020T090000\nDURATION:PT1H\nEND:VEVENT\n"
    zone = ZONE.format(name=name, rule=rule)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{zone}{event}END:VCALENDAR\n".encode()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_text_is_read_beside_and_leaves_no_process() -> None:
    async with ForeignText() as text:
        assert await text.busy_times([a_calendar()], WITHIN, PARIS) == FOUND
        assert await text.resources(b'<multistatus xmlns="DAV:"/>') == []
        with pytest.raises(UnreadableError):
            await text.calendar_objects(b"no XML")
        assert text._process is not None
        pid = text._process.pid
    assert not is_there(pid)


async def test_a_process_that_was_ended_between_two_texts_is_no_fault_of_the_next() -> None:
    """The system ends the largest when memory is short: the next practice's calendar is read all the same."""
    async with ForeignText() as text:
        await text.busy_times([a_calendar()], WITHIN, PARIS)
        assert text._process is not None
        text._process.kill()
        await text._process.wait()
        assert await text.busy_times([a_calendar()], WITHIN, PARIS) == FOUND


async def test_a_time_zone_without_an_end_ends_with_its_reading() -> None:
    async with ForeignText(processor_s=1) as text:
        with pytest.raises(TooLargeError):
            await text.busy_times([a_calendar(ENDLESS)], WITHIN, PARIS)
        assert await text.busy_times([a_calendar()], WITHIN, PARIS) == FOUND, "the next one's own zone"


async def test_who_gives_up_ends_the_reading() -> None:
    async with ForeignText() as text:
        await text.resources(b'<multistatus xmlns="DAV:"/>')
        given_up = text._process
        assert given_up is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await text.busy_times([a_calendar(ENDLESS)], WITHIN, PARIS)
        assert await text.busy_times([a_calendar()], WITHIN, PARIS) == FOUND
        async with asyncio.timeout(20):
            await given_up.wait()


async def test_a_process_that_ends_costs_one_reading() -> None:
    async with ForeignText() as text:
        await text.resources(b'<multistatus xmlns="DAV:"/>')
        assert text._process is not None
        foreign_text._end(text._process)
        with pytest.raises(TooLargeError):
            await text.busy_times([a_calendar()], WITHIN, PARIS)
        assert await text.busy_times([a_calendar()], WITHIN, PARIS) == FOUND
