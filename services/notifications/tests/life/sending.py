"""Senders look, and what they send is taken, refused, or lost sight of; readers open what they got."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.notifications.tests.life.comparing import mostly, picks
from services.notifications.tests.life.hearing import Hearing
from services.notifications.tests.life.post import OUTCOMES

outcomes = st.lists(st.sampled_from([*OUTCOMES, "accept", "accept"]), max_size=4)


class Sending(Hearing):
    """Time passes only here."""

    def advance(self, by: timedelta) -> None:
        self.town.service.clock.advance(by)
        self.model.now = self.town.service.clock.now()

    @rule(outcomes=outcomes, seconds=st.sampled_from([0, 3, 20, 70]))
    def look(self, outcomes: list[str], seconds: int) -> None:
        self.advance(timedelta(seconds=seconds))
        self._drain(outcomes, f"{seconds} seconds have passed", once=True)

    def _drain(self, outcomes: list[str], what: str, *, once: bool = False) -> None:
        """Senders look, and what they send has these outcomes."""
        self.town.post.outcomes.extend(outcomes)
        self.loop.run(self.town.look() if once else self.town.drain())
        self.town.post.outcomes.clear()
        self.check(f"{what} {outcomes}")

    @rule()
    def look_and_end(self) -> None:
        """A sender sends, and ends before it has put that down."""
        count = self.loop.run(self.town.look(crashing=True))
        self.check(f"a sender has ended: {count} due")

    @precondition(lambda self: self.town.slow is None)
    @rule()
    def look_slowly(self) -> None:
        self.loop.run(self.town.look_slowly())
        self.model.in_hand = self.model.reached()
        self.check("a sender waits for an answer")

    @precondition(lambda self: self.town.slow is not None)
    @rule()
    def be_answered(self) -> None:
        self.loop.run(self.town.answer_slow())
        if self.model.in_hand is not None:
            self.model.in_hand = replace(self.model.in_hand, people=self.model.people)
        self.check("the slow sender is answered")
        self.model.in_hand = None

    @rule(minutes=st.sampled_from([1, 4, 6, 70, 300, 720, 1440, 2880, 5000]), seen=mostly, outcomes=outcomes)
    def pass_time(self, minutes: int, seen: bool, outcomes: list[str]) -> None:
        """With a sender that looks at its end, or without."""
        self.advance(timedelta(minutes=minutes))
        if seen:
            self._drain(outcomes, f"{minutes} minutes have passed")
        else:
            self.check(f"{minutes} minutes have passed unseen")

    @precondition(lambda self: any(o.due > self.model.now for o in self.model.owed))
    @rule(outcomes=outcomes, late=st.sampled_from([0, 0, 1, 700]))
    def wait_for_what_is_due(self, outcomes: list[str], late: int) -> None:
        """The next reminder's time has come, or passed a while ago."""
        due = min(o.due for o in self.model.owed if o.due > self.model.now)
        self.advance(due - self.model.now + timedelta(minutes=late))
        self._drain(outcomes, f"due, {late} minutes ago")

    # -- readers ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.town.post.confirmations)
    @rule(pick=picks, answer=st.sampled_from(["confirm", "refuse"]))
    def say_whose_it_is(self, pick: int, answer: str) -> None:
        """The reader of an address confirms it, or says that it is not theirs."""
        tokens = self.town.post.confirmations
        token = sorted(tokens)[pick % len(tokens)]
        address, message = tokens[token]
        recipient = self.readers.get(message)
        status = self.loop.run(self.town.answer_for_address(token, answer))
        if status == 200:
            assert recipient is not None
            pair = address, recipient
            if answer == "confirm":
                self.model.confirmed.add(pair)
            else:
                self.model.refused.add(address)
                self.model.confirmed.discard(pair)
        self.check(f"{address} for {recipient}: {answer} {status}")

    @precondition(lambda self: self.town.post.links)
    @rule(pick=picks)
    def open_link(self, pick: int) -> None:
        """A link shows the visit as it is, as long as it is to come and theirs."""
        tokens = self.town.post.links
        token = sorted(tokens)[pick % len(tokens)]
        message = tokens[token]
        status, shown = self.loop.run(self.town.open_link(token))
        rows = self.loop.run(self.town.messages())
        if message not in rows:
            assert status == 404, f"{status}: the link of a message that was forgotten"
            return
        visit, recipient = self.model.visits[rows[message]["appointment"]], rows[message]["recipient"]
        over = self.model.now >= visit.start + timedelta(hours=24)
        if over or visit.hidden or visit.patient != recipient:
            assert status == 410, f"{status}: the link to {visit} of {recipient}"
            return
        assert (status, shown["status"]) == (200, visit.status), f"{shown}: {visit}"
        local = visit.start.astimezone(self.model.zone(visit)).isoformat()
        assert shown.get("start") == (None if visit.status == "waitlist" else local), f"{shown}: {visit}"
        assert ("until" in shown) == (visit.until is not None), f"{shown}: {visit}"
