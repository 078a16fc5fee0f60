"""Common times of several agendas: how much is looked at for them. What is found is tested over the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from creneau_booking.domain.joint import FreeTime, Requirement, by_practice, together

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
TWENTY = timedelta(minutes=20)


def visits(agenda: str, number: int) -> Iterator[FreeTime]:
    """Visits of twenty minutes, one after the other."""
    for n in range(number):
        start = NINE + n * TWENTY
        yield FreeTime(f"{agenda}.{n}", agenda, start, start + TWENTY)


def of(*free: FreeTime) -> Requirement:
    agendas = list(dict.fromkeys(one.agenda for one in free))
    return Requirement(free, {agenda: rank for rank, agenda in enumerate(agendas)}, frozenset(agendas))


def test_what_covers_a_period_is_looked_for_once() -> None:
    """A hundred doctors and a hundred rooms, all free at the same ten times: each asks for each of these times once."""
    looked_at = 0

    def usable(free: FreeTime, start: datetime, end: datetime) -> bool:
        nonlocal looked_at
        looked_at += 1
        return by_practice(free, start, end)

    doctors = of(*(free for n in range(100) for free in visits(f"doctor{n}", 10)))
    rooms = of(*(free for n in range(100) for free in visits(f"room{n}", 10)))
    found = together([doctors, rooms], usable)
    # each doctor in the first room, and the first doctor in each room
    assert len(found) == 10 * (100 + 100 - 1)
    assert found[0].agendas == ("doctor0", "room0")
    assert looked_at == 10 * (100 + 100)


class Counted(FreeTime):
    """A free time that counts how often somebody looks when one ends."""

    looked_at = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "end":
            Counted.looked_at += 1
        return super().__getattribute__(name)


def test_a_long_time_among_many_short_ones() -> None:
    """If the year that one room is open had all visits looked through for each, it would be as many times as many."""
    Counted.looked_at, number = 0, 500
    doctor = of(*visits("doctor", number))
    short = [Counted(one.slot, one.agenda, one.start, one.end) for one in visits("room", number)]
    rooms = of(*short, FreeTime("open", "hall", NINE - TWENTY, NINE + timedelta(days=366)))
    found = together([doctor, rooms], by_practice)
    assert [one.agendas for one in found] == [("doctor", "room")] * number
    assert Counted.looked_at < 20 * number
