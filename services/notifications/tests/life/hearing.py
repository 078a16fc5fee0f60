"""Events arrive: later, again, together with what came before, in another worker, or read anew from their beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.notifications.tests.life.comparing import Comparing, picks
from services.notifications.tests.life.facts import START, Said
from services.notifications.tests.life.saying import Saying
from services.notifications.tests.life.world import received

from creneau_notifications.messaging.consumers import APPOINTMENTS
from creneau_shared.messaging.events import ReceivedEvent


class Hearing(Saying):
    """What was told of each visit arrives in its order; of several visits in any."""

    def __init__(self) -> None:
        Comparing.__init__(self)
        self.heard: dict[str, int] = {}
        """of each visit, how many of its events"""
        self.handled: set[int] = set()
        """events (numbers) of which it is known that they were handled"""
        self.series: list[list[str]] = []
        self.erased: set[str] = set()

    def hear_visits(self, ids: Sequence[str], what: str) -> None:
        """All that was not heard yet of these, in the order in which it was told."""
        said = [one for id_ in ids for one in self.logs[id_][self.heard.get(id_, 0) :]]
        self._arrive(sorted(said, key=lambda one: one.number), what, anew=False)

    def _arrive(self, said: Sequence[Said], what: str, *, anew: bool) -> None:
        if anew:
            self.handled.clear()
        self.loop.run(self.town.hear(APPOINTMENTS, [_event(one) for one in said], anew=anew))
        for one in said:
            if one.number not in self.handled:
                self.model.hear(one)
                self.handled.add(one.number)
            place = self.logs[one.visit].index(one) + 1
            self.heard[one.visit] = max(self.heard.get(one.visit, 0), place)
        self.check(f"{what}: heard {[(o.visit, o.change, o.data['version']) for o in said]}")

    @precondition(lambda self: self.logs)
    @rule(
        which=st.lists(picks, min_size=1, max_size=3),
        back=st.integers(0, 2),
        most=st.integers(1, 3),
        other=st.booleans(),
    )
    def arrive(self, which: list[int], back: int, most: int, other: bool) -> None:
        """Some of what was told, with some of what came before; in another worker, too."""
        ids = sorted({sorted(self.logs)[pick % len(self.logs)] for pick in which}, reverse=other)
        said = []
        for id_ in ids:
            done = self.heard.get(id_, 0)
            said += self.logs[id_][max(0, done - back) : done + most]
        if other:
            self.town.worker()
        self._arrive(said, "again", anew=False)

    @precondition(lambda self: self.heard)
    @rule(pick=picks)
    def read_anew(self, pick: int) -> None:
        """A log is read from its beginning, long after, so that nobody knows what of it was handled."""
        id_ = sorted(self.heard)[pick % len(self.heard)]
        self._arrive(self.logs[id_][: self.heard[id_]], "read anew", anew=True)

    def hear_everything(self) -> None:
        """First the next event of each visit, then all the others."""
        following = [log[self.heard.get(id_, 0) :][:1] for id_, log in sorted(self.logs.items())]
        self._arrive([said for one in following for said in one], "the next", anew=False)
        self.hear_visits(sorted(self.logs), "all")


def _event(said: Said) -> ReceivedEvent:
    kind = f"fr.creneau.booking.appointment.{said.change}.v1"
    data: dict[str, Any] = dict(said.data)
    assert said.time >= START
    return received(APPOINTMENTS, said.visit, kind, said.number, said.time, data)
