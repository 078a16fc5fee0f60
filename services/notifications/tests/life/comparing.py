"""What the machine does after each act: what is planned, what has left and what is shown are compared with the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from services.notifications.tests.life.facts import START, Departure, Owed, Said, Visit
from services.notifications.tests.life.judging import require_right_departure, require_right_end
from services.notifications.tests.life.model import Model
from services.notifications.tests.life.world import Town

from creneau_notifications.domain.plan import Kind, message_id

T = TypeVar("T")
picks = st.integers(0, 40)
mostly = st.sampled_from([True, True, True, False])


class Loop:
    """An event loop in a thread of its own, so that a synchronous state machine can drive the database."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(120)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Comparing(RuleBasedStateMachine):
    """One life of the town."""

    loop: Loop
    town: Town

    def __init__(self) -> None:
        super().__init__()
        self.loop.run(self.town.begin_again())
        self.model = Model(START)
        self.visits: dict[str, Visit] = {}
        self.logs: dict[str, list[Said]] = {}
        """of each visit, what booking has told of it"""
        self.number = 0
        self.judged: set[UUID] = set()
        """messages whose end was looked at"""
        self.came = 0
        self.readers: dict[object, str] = {}
        """of each message that has left, for whom it was"""

    # -- comparing -------------------------------------------------------------------------------------------

    def check(self, what: str) -> None:
        """Everything is as the model has it."""
        note(f"{self.model.now:%d %H:%M:%S} {what}")
        rows = self.loop.run(self.town.messages())
        departures = self.town.post.came[self.came :]
        self.came = len(self.town.post.came)
        for departure in departures:
            note(f"    left: {departure.channel} {departure.address} {departure.said} {departure.outcome}")
        self._judge_departures(departures, rows)
        self._judge_ends(rows, departures)
        self._match(rows)
        for row in rows.values():
            _require_shown(row)
        self.model.put_off()

    def _judge_departures(self, departures: list[Departure], rows: dict[UUID, asyncpg.Record]) -> None:
        accepted = [d.message for d in departures if d.outcome == "accept"]
        assert len(accepted) == len(set(accepted)), f"told twice: {departures}"
        for departure in departures:
            one = self._owed_as(departure.message)
            assert one is not None, f"not to be told: {departure}"
            self.readers[departure.message] = one.recipient
            require_right_departure(self.model, one, departure)

    def _judge_ends(self, rows: dict[UUID, asyncpg.Record], departures: list[Departure]) -> None:
        for id_, row in rows.items():
            if row["finished_at"] is None:
                self.judged.discard(id_)
            elif id_ not in self.judged:
                self.judged.add(id_)
                one = self._owed_as(id_)
                if one is not None:
                    outcomes = [d.outcome for d in departures if d.message == id_]
                    require_right_end(self.model, one, row, outcomes)
                    self.model.end(one, told=row["status"] == "sent")

    def _owed_as(self, id_: UUID) -> Owed | None:
        return next((one for one in self.model.owed if _id_of(one) == id_), None)

    def _match(self, rows: dict[UUID, asyncpg.Record]) -> None:
        """What is owed is planned, and nothing else is."""
        pending = {id_: r for id_, r in rows.items() if r["finished_at"] is None and r["superseded"] is False}
        for one in self.model.owed:
            row = pending.pop(_id_of(one), None)
            assert row is not None, f"owed, and not planned: {one}; there is {_brief(rows)}"
            assert row["due_at"] == one.due, f"due at {row['due_at']}: {one}"
            assert row["expires_at"] == one.expires, f"of use until {row['expires_at']}: {one}"
        # Of several, a sender sees that all have become something else.
        wrong = {id_: row for id_, row in pending.items() if row["of_several"] is None}
        assert not wrong, f"planned, and not owed: {_brief(wrong)}"


def _id_of(one: Owed) -> UUID:
    """As it is made of what the message is: so that nothing is planned twice."""
    return message_id(str(UUID(int=one.basis)), Kind(one.kind), one.rule, one.recipient, one.channel)


def _brief(rows: dict[UUID, asyncpg.Record]) -> str:
    names = (
        "appointment",
        "kind",
        "rule",
        "channel",
        "recipient",
        "status",
        "reason",
        "superseded",
        "due_at",
    )
    return "; ".join(" ".join(str(row[name]) for name in names if row[name]) for row in rows.values())


def _require_shown(row: asyncpg.Record) -> None:
    """The Communication says what became of the message, and nothing of what it said."""
    shown = json.loads(row["shown"]) if row["shown"] is not None else None
    if shown is None:
        assert row["finished_at"] is None and row["due_at"] <= row["planned_at"], f"not shown: {dict(row)}"  # noqa: PT018
        return
    if row["finished_at"] is None:
        assert shown["status"] in ("preparation", "in-progress"), f"{shown}: {dict(row)}"
    else:
        assert shown["status"] == ("completed" if row["status"] == "sent" else "not-done"), f"{dict(row)}"
    assert ("sent" in shown) == (row["status"] == "sent")
    assert shown["subject"]["reference"] == row["recipient"]
    assert shown["about"][0]["reference"] == f"Appointment/{row['appointment']}"
