"""Opening hours in local time: a week's pattern, and the days on which it does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from hashlib import blake2b

import holidays

from deploy.demo.catalogue import Commune

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

OVERSEAS_DAY_STARTS_EARLIER = timedelta(hours=1)
"""Near the equator the day begins earlier, and so do the practices."""


@dataclass(frozen=True)
class Session:
    """An opening of one weekday (0 is Monday), half-open, in the local time of the place."""

    weekday: int
    start: time
    end: time


def parse_week(pattern: str) -> tuple[Session, ...]:
    """Read `mon-wed,fri 08:30-12:00 14:00-18:00; sat 09:00-12:00`: days, then their openings."""
    sessions = []
    for part in pattern.split(";"):
        days, *openings = part.split()
        for opening in openings:
            start, end = (time.fromisoformat(text) for text in opening.split("-"))
            sessions += [Session(weekday, start, end) for weekday in _weekdays(days)]
    return tuple(sorted(sessions, key=lambda session: (session.weekday, session.start)))


def _weekdays(text: str) -> Iterator[int]:
    for item in text.split(","):
        first, _, last = item.partition("-")
        yield from range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1)


def earlier(session: Session, by: timedelta) -> Session:
    """The same opening, `by` earlier on the same day."""

    def shift(moment: time) -> time:
        return (datetime.combine(date.min, moment) + timedelta(days=1) - by).time()

    return Session(session.weekday, shift(session.start), shift(session.end))


def draw(*parts: object) -> float:
    """A number in [0, 1) that looks drawn by chance and is always the same for the same parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@cache
def _public_holidays(subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FR", subdiv=subdivision, years=year))


def is_public_holiday(day: date, commune: Commune) -> bool:
    """Whether nobody works that day there (national days, and the abolition of slavery overseas)."""
    return day in _public_holidays(commune.department if commune.overseas else None, day.year)


def is_absent(professional: str, day: date) -> bool:
    """Whether the professional is on leave that day: about one whole calendar week in eleven."""
    year, week, _ = day.isocalendar()
    return draw("leave", professional, year, week) < 0.09


def absences(professional: str, start: date, days: int) -> list[tuple[date, date]]:
    """The leaves within `days` days from `start`: first and last day of each, both included."""
    found: list[tuple[date, date]] = []
    for day in (start + timedelta(days=offset) for offset in range(days)):
        if not is_absent(professional, day):
            continue
        if found and found[-1][1] == day - timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
