"""Any sequence of people who join, leave, accept and refuse, and of time that is taken, freed and let run out, against a
model of a few lines: the line is as it was published, and no slot is public while somebody waits for it who has not
had it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
from services.booking.tests.life.comparing import Loop
from services.booking.tests.practice import Practice
from services.booking.tests.telling import in_words

from creneau_booking.domain.waiting import rank_of
from creneau_shared.clock import PARIS, FixedClock
from creneau_shared.database.pool import Database
from creneau_shared.errors import Conflict

WIDTH = 3
T = TypeVar("T")
picks = st.randoms(use_true_random=False)


@dataclass
class Wish:
    """One who waits: in which order, what they had offered, and what is offered to them until when."""

    id: str
    order: tuple[int, int]
    only: int | None
    """the one slot that they want; None: any"""
    had: set[int] = field(default_factory=set)
    offer: tuple[int, datetime] | None = None


class Line(RuleBasedStateMachine):
    """`taken`: slot → the appointment that somebody else has there; `line`: who waits, by id."""

    loop: Loop
    practice: Practice

    def __init__(self) -> None:
        super().__init__()
        start = self.practice.clock.now() + timedelta(days=60)
        self.agenda = self.loop.run(self.practice.open_agenda(WIDTH, start=start))
        self.taken: dict[int, str] = {}
        self.line: dict[str, Wish] = {}
        self.joined = 0
        for index in range(WIDTH):
            self.take(index)
        for priority in (None, None, 9, 1):
            self.join(priority, None)

    # -- the model -------------------------------------------------------------------------------------------

    def offered(self, index: int) -> Wish | None:
        return next((w for w in self.line.values() if w.offer and w.offer[0] == index), None)

    def freed(self, index: int) -> None:
        """The first in line whom it suits, who has not had it, and to whom nothing is offered, has it now."""
        for wish in sorted(self.line.values(), key=lambda w: w.order):
            if wish.offer is None and index not in wish.had and wish.only in (None, index):
                now, start = self.practice.clock.now(), self.agenda.at(index)
                until = self.practice.settings.patience.answer.until(now, start, PARIS)
                assert until is not None
                wish.offer = (index, until)
                wish.had.add(index)
                return

    def ended(self, wish: Wish) -> None:
        assert wish.offer is not None
        index, wish.offer = wish.offer[0], None
        self.freed(index)

    # -- what may happen -------------------------------------------------------------------------------------

    @rule(priority=st.sampled_from([None, None, 1, 9]), only=st.sampled_from([None, None, 0]))
    def join(self, priority: int | None, only: int | None) -> None:
        self.practice.clock.advance(timedelta(seconds=1))
        patient = self.loop.run(self.practice.new_patient())
        more: dict[str, Any] = {"priority": priority} if priority else {}
        slots = self.agenda.slots[only : only + 1] if only is not None else ()
        wanted = appointment(
            "waitlist", patient=patient, actors=[self.agenda.practitioner], slots=slots, **more
        )
        stored = self.loop.run(self.practice.create(wanted))
        self.joined += 1
        self.line[stored.id] = Wish(stored.id, (rank_of(priority), self.joined), only)

    @rule(index=st.integers(0, WIDTH - 1))
    def take(self, index: int) -> None:
        """By the practice, for somebody who does not wait. What is offered is not theirs, unless nobody else waits for it."""
        wish = self.offered(index)
        late = wish is not None and wish.offer is not None and wish.offer[1] <= self.practice.clock.now()
        if wish is not None and late:
            self.ended(wish)
        wanted = appointment("booked", slots=[self.agenda.slots[index]], start=self.agenda.at(index))
        if index in self.taken or self.offered(index):
            with pytest.raises(Conflict), in_words():
                self.loop.run(self.practice.create(wanted))
            if late and wish is not None:  # the refusal has undone all of it: the sweeper does it
                self.loop.run(self.expire(wish.id))
        else:
            self.taken[index] = self.loop.run(self.practice.create(wanted)).id

    @precondition(lambda self: self.taken)
    @rule(pick=picks)
    def give_up(self, pick: Any) -> None:
        index = pick.choice(sorted(self.taken))
        self.loop.run(self.practice.change(self.taken.pop(index), status="cancelled"))
        self.freed(index)

    @precondition(lambda self: any(w.offer for w in self.line.values()))
    @rule(pick=picks, status=st.sampled_from(["booked", "waitlist", "cancelled"]))
    def answer(self, pick: Any, status: str) -> None:
        wish = self.line[pick.choice(sorted(w.id for w in self.line.values() if w.offer))]
        assert wish.offer is not None
        self.loop.run(self.practice.change(wish.id, status=status))
        index = wish.offer[0]
        # A practice that cancels an offer gives its time back: the place in line is the person's.
        if status == "booked":
            del self.line[wish.id]
            self.taken[index] = wish.id
        else:
            self.ended(wish)

    @precondition(lambda self: any(not w.offer for w in self.line.values()))
    @rule(pick=picks)
    def leave(self, pick: Any) -> None:
        id_ = pick.choice(sorted(w.id for w in self.line.values() if not w.offer))
        self.loop.run(self.practice.change(id_, status="cancelled"))
        del self.line[id_]

    @precondition(lambda self: any(w.offer for w in self.line.values()))
    @rule(swept=st.booleans())
    def run_out(self, swept: bool) -> None:
        """The first offer to end, ended by the sweeper or found by whoever comes next."""
        offers = [(w.offer[1], w.id) for w in self.line.values() if w.offer]
        until, id_ = min(offers)
        self.practice.clock.advance(max(timedelta(0), until - self.practice.clock.now()))
        if swept:
            self.loop.run(self.expire(id_))
            self.ended(self.line[id_])

    async def expire(self, id_: str) -> None:
        async with self.practice.database.transaction() as connection:
            await self.practice.handlers.expiry.expire(connection, self.practice.clock.now(), [id_])

    # -- what is so ------------------------------------------------------------------------------------------

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        statuses = self.loop.run(self.practice.slot_statuses(self.agenda.slots))
        expected = [
            "busy" if index in self.taken else "busy-tentative" if self.offered(index) else "free"
            for index in range(WIDTH)
        ]
        assert statuses == expected
        rows = self.loop.run(
            self.practice.database.pool.fetch(
                "SELECT waiting.appointment_id AS id, offered, hold.expires_at FROM waiting"
                " LEFT JOIN hold USING (appointment_id) WHERE appointment_id = ANY($1)",
                list(self.line),
            )
        )
        found = {row["id"]: (row["offered"], row["expires_at"]) for row in rows}
        assert found == {w.id: (bool(w.offer), w.offer[1] if w.offer else None) for w in self.line.values()}


def test_the_line_is_as_it_was_published(new_database: Callable[..., str], template: str) -> None:
    """A database of its own, driven from a thread."""
    loop = Loop()
    url = new_database(template=template)
    database = Database(url, size=4, statement_timeout_s=60, name="line")

    def run(work: Coroutine[Any, Any, T]) -> T:
        return loop.run(work)

    try:
        run(database.__aenter__())
        Line.loop = loop
        Line.practice = Practice(database, settings_for(url), FixedClock(NOW))
        run_state_machine_as_test(
            Line,
            settings=settings(
                max_examples=6,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        run(database.__aexit__(None, None, None))
        loop.close()
