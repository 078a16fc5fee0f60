"""The machine that lives in the town: whatever booking, people, the directory, mail servers and time may do, in any order;
after each step what is planned, has left and is shown is what the model says."""

from __future__ import annotations

import sys
from datetime import timedelta

from hypothesis.stateful import precondition, rule
from services.notifications.tests.life.comparing import mostly, picks
from services.notifications.tests.life.facts import DESCRIBED, OVER
from services.notifications.tests.life.people import People, emails
from services.notifications.tests.life.sending import Sending
from services.notifications.tests.life.series import Series

WAITS = (timedelta(0), timedelta(seconds=70), timedelta(minutes=6), timedelta(minutes=73), timedelta(hours=2))
"""until whatever is missing is missed no longer, a lease has run out, and the longest pause is over"""


class Life(Series, People, Sending):
    """One life of the town."""

    @precondition(lambda self: self.town.slow is not None)
    @rule(pick=picks, email=emails, vouched=mostly)
    def be_answered_once_somebody_has_moved(self, pick: int, email: str | None, vouched: bool) -> None:
        """What waits behind the slow one goes to where they are reached by then."""
        waiting = sorted({one.recipient for one in self.model.owed if one.due <= self.model.now})
        if waiting:
            self.reach(waiting[pick % len(waiting)], email, None, vouched, heard=True, language="fr")
        self.be_answered()

    @rule()
    def come_to_rest(self) -> None:
        """All has arrived, and whatever is sent is taken: nothing is stuck, and everybody knows what is so."""
        self._hear_all()
        for wait in WAITS:
            self.advance(wait)
            self.loop.run(self.town.drain())
            self.check(f"at rest after {wait}")
        overdue = self.model.overdue()
        assert not overdue, f"should have left: {overdue}"
        self.forget()
        self._require_known()

    def _hear_all(self) -> None:
        if self.town.slow is not None:
            self.be_answered()
        for which in DESCRIBED:
            if which not in self.model.facts:
                self._describe(which, there=True)
        for who in self.contacts:
            self._hear_of(who, "all")
        self.hear_everything()

    def _require_known(self) -> None:
        """What somebody was told last of a visit is as it is, unless that could not be told, or waits for their contact."""
        for visit in self.model.visits.values():
            who = visit.patient
            if who is None or visit.hidden or (visit.id, who) in self.model.untold or who in self.erased:
                continue
            if who not in self.model.people or self.model.is_to_come(visit.id, who):
                continue
            told = self.model.told.get((visit.id, who))
            if visit.status == "booked":
                assert told is not None, f"was never told of: {visit}"
                assert told[0] in ("confirmation", "change", "reminder", "proposal"), f"{told}: {visit}"
                assert told[1] == visit.start, f"was told {told}: {visit}"
            elif told is not None and visit.status not in (*OVER, "pending"):
                stood = told[0] in ("confirmation", "change", "reminder")
                assert not stood, f"was last told {told}: {visit}"

    def teardown(self) -> None:
        """Every life comes to rest, but one that has failed."""
        if sys.exc_info()[0] is None:
            self.come_to_rest()
            self._live_on()

    def _live_on(self) -> None:
        """What is to come is told in its time."""
        while self.model.owed:
            self.advance(max(min(o.due for o in self.model.owed) - self.model.now, timedelta(hours=1)))
            self.loop.run(self.town.drain())
            self.check("life goes on")
        self._require_known()
