"""Any sequence of holds, bookings, moves, cancellations and expiries, against a model of a few lines.

The model: two agendas of one practitioner, side by side in time. An appointment has one slot; it takes the slot's
index in both agendas, for the practitioner is in one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import timedelta
from threading import Thread
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import NOW, appointment
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.telling import in_words

from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.errors import Conflict

WIDTH = 3
T = TypeVar("T")
places = st.tuples(st.integers(0, 1), st.integers(0, WIDTH - 1))


class Loop:
    """An event loop in a thread of its own, so that a synchronous state machine can drive the database."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Life(RuleBasedStateMachine):
    """`taken`: appointment → (agenda, index, until when it is held or None when booked)."""

    loop: Loop
    practice: Practice

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[str, tuple[int, int, Any]] = {}
        first = self.loop.run(self.practice.open_agenda(WIDTH))
        second = self.loop.run(
            self.practice.open_agenda(WIDTH, practitioner=first.practitioner, start=first.start)
        )
        self.agendas: tuple[Agenda, Agenda] = (first, second)

    # -- the model -------------------------------------------------------------------------------------------

    def holder(self, index: int) -> str | None:
        return next((id_ for id_, (_, at, _) in self.taken.items() if at == index), None)

    def run_out(self, id_: str) -> bool:
        until = self.taken[id_][2]
        return until is not None and until <= self.practice.clock.now()

    def is_free_for(self, index: int, mine: str | None = None) -> bool:
        """Whether the time is free; a hold in the way that has run out is forgotten."""
        holder = self.holder(index)
        if holder is None or holder == mine:
            return True
        if self.run_out(holder):
            del self.taken[holder]
            return True
        return False

    def attempt(self, allowed: bool, work: Coroutine[Any, Any, T]) -> T | None:
        if allowed:
            return self.loop.run(work)
        with pytest.raises(Conflict), in_words():
            self.loop.run(work)
        return None

    def until(self) -> Any:
        return self.practice.clock.now() + timedelta(seconds=self.practice.settings.hold_duration_s)

    # -- what may happen -------------------------------------------------------------------------------------

    @rule(place=places)
    def book(self, place: tuple[int, int]) -> None:
        wanted = appointment("booked", slots=[self.agendas[place[0]].slots[place[1]]])
        stored = self.attempt(self.is_free_for(place[1]), self.practice.create(wanted))
        if stored is not None:
            self.taken[stored.id] = (*place, None)

    @rule(place=places)
    def hold(self, place: tuple[int, int]) -> None:
        wanted = appointment("proposed", slots=[self.agendas[place[0]].slots[place[1]]])
        stored = self.attempt(self.is_free_for(place[1]), self.practice.hold(wanted))
        if stored is not None:
            self.taken[stored.id] = (*place, self.until())

    @precondition(lambda self: self.taken)
    @rule(place=places, pick=st.randoms(use_true_random=False))
    def move(self, place: tuple[int, int], pick: Any) -> None:
        id_ = pick.choice(sorted(self.taken))
        until = self.taken[id_][2]
        slot = [{"reference": f"Slot/{self.agendas[place[0]].slots[place[1]]}"}]
        allowed = self.is_free_for(place[1], mine=id_)
        self.attempt(allowed, self.practice.change(id_, move=True, slot=slot, start=None, end=None))
        if allowed:
            self.taken[id_] = (*place, until)

    @precondition(lambda self: self.taken)
    @rule(pick=st.randoms(use_true_random=False))
    def cancel(self, pick: Any) -> None:
        id_ = pick.choice(sorted(self.taken))
        self.loop.run(self.practice.change(id_, status="cancelled"))
        del self.taken[id_]

    @precondition(lambda self: any(until for *_, until in self.taken.values()))
    @rule(pick=st.randoms(use_true_random=False))
    def confirm(self, pick: Any) -> None:
        id_ = pick.choice(sorted(i for i, (*_, until) in self.taken.items() if until))
        self.loop.run(self.practice.change(id_, status="booked"))
        self.taken[id_] = (*self.taken[id_][:2], None)

    @rule(seconds=st.sampled_from([60, 599, 600]))
    def wait(self, seconds: int) -> None:
        self.practice.clock.advance(timedelta(seconds=seconds))

    @rule()
    def sweep(self) -> None:
        practice = self.practice
        jobs = practice.jobs()
        self.loop.run(jobs.expire_holds())
        self.taken = {id_: place for id_, place in self.taken.items() if not self.run_out(id_)}

    # -- what always holds -----------------------------------------------------------------------------------

    @invariant()
    def slots_are_as_the_model_says(self) -> None:
        expected = [["free"] * WIDTH, ["free"] * WIDTH]
        for side, index, until in self.taken.values():
            expected[side][index] = "busy-tentative" if until else "busy"
            expected[1 - side][index] = "busy-unavailable"
        for agenda, statuses in zip(self.agendas, expected, strict=True):
            assert self.loop.run(self.practice.slot_statuses(agenda.slots)) == statuses

    @invariant()
    def the_practitioner_is_where_the_model_says(self) -> None:
        agenda = self.agendas[0]
        rows = self.loop.run(self.practice.occupied(agenda.practitioner))
        places = sorted(
            (agenda.at(index), agenda.at(index + 1), id_) for id_, (_, index, _) in self.taken.items()
        )
        assert rows == places


def test_life(new_database: Callable[..., str], template: str) -> None:
    loop = Loop()
    url = new_database(template=template)
    database = Database(url, size=4, statement_timeout_s=60, name="test")
    loop.run(database.__aenter__())
    try:
        Life.loop = loop
        Life.practice = Practice(database, settings_for(url), FixedClock(NOW))
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=12,
                stateful_step_count=25,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.run(database.__aexit__(None, None, None))
        loop.close()
