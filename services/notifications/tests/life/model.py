"""What has to be told, and what must not be, by what was heard of visits, people and places.

| | rule |
|---|---|
| once | each news of a visit is owed once, by each way that tells it, until it is told, of no use, or no more so |
| right | what is withdrawn is never told later; what leaves tells each visit as it was heard of last |
| reminded | by the rules, at a civil hour of the place, of visits that stand |
| theirs | to the address that the person has now, which they have not refused; to nobody who is gone |
| together | several of a series are one message, until it is told, of those that are still as it says |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from services.notifications.tests.life import rules
from services.notifications.tests.life.facts import (
    PARIS,
    PLACES,
    ROLES,
    WORKS,
    Channel,
    Heard,
    Owed,
    Person,
    Said,
)

CLOCKS_APART = timedelta(seconds=5)
Settled = tuple[str, int, str, Channel]


@dataclass(frozen=True)
class Reached:
    """How people are reached, and what the readers of addresses have said."""

    people: Mapping[str, Person]
    confirmed: Collection[tuple[str, str]]
    refused: Collection[str]

    def may_go(self, one: Owed, address: str) -> bool:
        """Whether the message may go to that address."""
        person = self.people.get(one.recipient)
        if person is None or address != person.given(rules.way(one, person)):
            return False
        return person.vouched or (address, one.recipient) in self.confirmed or address not in self.refused


@dataclass
class Leaving:
    """Somebody who was erased: by when they are forgotten, and the cancellations that they are told of before."""

    forget_by: datetime
    awaited: tuple[str, ...]
    done: bool = False


@dataclass
class Model:
    """What was heard, and what is owed by it."""

    now: datetime
    visits: dict[str, Heard] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    changed_at: dict[str, datetime] = field(default_factory=dict)
    facts: set[str] = field(default_factory=set)
    """what the directory has"""
    known: set[str] = field(default_factory=set)
    """the same, and what it had"""
    leaving: dict[str, Leaving] = field(default_factory=dict)
    owed: list[Owed] = field(default_factory=list)
    settled: set[Settled] = field(default_factory=set)
    """reminders that have left, or cannot"""
    confirmed: set[tuple[str, str]] = field(default_factory=set)
    """address and recipient"""
    refused: set[str] = field(default_factory=set)
    told: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    """what somebody got last about a visit: what it was, and when that is"""
    entries: dict[tuple[str, str], tuple[UUID, int]] = field(default_factory=dict)
    """of a visit and a person the calendar entry that came last: with which message, and its sequence"""
    untold: set[tuple[str, str]] = field(default_factory=set)
    """visits of which something could not be told to somebody"""
    in_hand: Reached | None = None
    """how everybody was reached when a slow sender took what it has in hand"""

    def zone(self, visit: Heard) -> ZoneInfo:
        """Of the place that the visit names, else of that of the situation in which it takes place; of a professional alone, by
        the clock of all places where they still work. Only what is known counts, of those that are gone too."""
        roles = visit.actors & ROLES.keys() & self.known
        if visit.actors == {WORKS}:
            gone = self.known - self.facts
            roles = frozenset(role for role in ROLES.keys() & self.facts if ROLES[role] not in gone)
        places = visit.actors & PLACES.keys() or {ROLES[role] for role in roles}
        zones = {PLACES[place] for place in places & self.known}
        return ZoneInfo(zones.pop()) if len(zones) == 1 else PARIS

    def is_gone(self, recipient: str | None) -> bool:
        return recipient in self.leaving and self.leaving[recipient].done

    # -- visits ----------------------------------------------------------------------------------------------

    def hear(self, said: Said) -> None:
        before = self.visits.get(said.visit)
        if before is not None and said.data["version"] <= before.version:
            return
        after = self._read(said)
        after.in_calendar = rules.is_in_calendar(before, after)
        after.moved, after.before = said.change == "moved", self._told_start(before, after, said)
        kept = {"proposal"} if rules.stays_proposed(before, after) else set()
        if rules.is_anew(before, after, said.change):
            self._withdraw(after, kept)
        elif before is not None:
            after.basis, after.told_at, after.until = before.basis, before.told_at, before.until
            after.of_series, after.moved, after.before = before.of_series, before.moved, before.before
            if before.proposed is not None and not kept:
                self._take_back_proposal(after.id)
        self.visits[after.id] = after
        self._owe_news(before, after, said)
        if rules.is_anew(before, after, said.change):
            self._remind(after)

    def _read(self, said: Said) -> Heard:
        data = said.data
        proposal = data.get("proposal")
        asked = proposal is not None and not proposal["by"].startswith("Patient/")
        patient = data.get("patient")
        return Heard(
            id=said.visit,
            version=data["version"],
            status=data["status"],
            start=said.at("start"),
            end=said.at("end"),
            patient=None if self.is_gone(patient) else patient,
            actors=frozenset(actor["reference"] for actor in data["actors"]),
            mode=data["serviceType"][0]["code"],
            hidden=data.get("hidden", False),
            proposed=datetime.fromisoformat(proposal["start"]) if asked and proposal else None,
            basis=said.number,
            told_at=said.time,
            until=said.at("heldUntil") if said.change == "offered" else None,
            of_series="series" in data,
        )

    def _told_start(self, before: Heard | None, after: Heard, said: Said) -> datetime | None:
        """When the visit was before, as far as its patient was told: what waits has told nobody anything."""
        previous = datetime.fromisoformat(said.data["previous"]["start"]) if "previous" in said.data else None
        if before is None or said.change not in ("moved", "updated", "cancelled"):
            return previous
        waiting = {
            o.kind
            for o in self.owed
            if after.id in o.tells and o.recipient == after.patient and not o.of_several
        }
        if "confirmation" in waiting:
            return None
        return before.before if "change" in waiting and (before.moved or before.before) else previous

    def _withdraw(self, visit: Heard, kept: set[str]) -> None:
        """What was to be told of earlier versions of it is told no more; of others in the same message it still is."""
        for one in [o for o in self.owed if o.tells.get(visit.id, visit.version) < visit.version]:
            if one.kind in kept:
                continue
            del one.tells[visit.id]
            if not one.tells:
                self.owed.remove(one)

    def _take_back_proposal(self, visit: str) -> None:
        self.owed = [o for o in self.owed if not (visit in o.tells and o.kind == "proposal")]

    def _owe_news(self, before: Heard | None, after: Heard, said: Said) -> None:
        series = said.data.get("series")
        elsewhere = series is not None and "occurrences" not in series
        kinds = [] if elsewhere else list(rules.news(before, after, said))
        if after.patient is None or after.hidden:
            return
        if said.change == "cancelled" and not kinds and not elsewhere:
            self.untold.add((after.id, after.patient))  # who has taken back what they asked for knows it
        for kind in kinds:
            if after.patient not in self.leaving or kind == "cancellation":
                self._owe(kind, after, said, series["occurrences"] if series is not None else [])

    def _owe(self, kind: str, after: Heard, said: Said, several: Sequence[Mapping[str, str]]) -> None:
        assert after.patient is not None
        ends = [after.end, *(datetime.fromisoformat(o["end"]) for o in several)]
        tells, starts = {after.id: after.version}, {after.id: after.start}
        for other in several:
            if self._is_as_said(other, kind, after.patient):
                tells[other["appointment"]] = int(other["sequence"]) + 1
                starts[other["appointment"]] = datetime.fromisoformat(other["start"])
        before_that = after.before
        expires = after.until or rules.useless_from(kind, ends, before_that, said.time)
        texts = kind in rules.ASKING and rules.takes_texts(self.people.get(after.patient))
        channels: list[Channel] = ["email", "sms"] if texts else ["email"]
        if self.now >= expires:
            self.untold |= {(visit, after.patient) for visit in tells}
        else:
            self.owed += [
                Owed(
                    kind,
                    "",
                    how,
                    after.patient,
                    dict(tells),
                    said.time,
                    expires,
                    said.number,
                    after,
                    starts,
                    before_that,
                    bool(several),
                    len(channels) > 1,
                )
                for how in channels
            ]

    def _is_as_said(self, told: Mapping[str, str], kind: str, recipient: str) -> bool:
        """Whether one of a series is still as the news of all of them says, as far as one has heard."""
        known = self.visits.get(told["appointment"])
        if known is None or known.version - 1 <= int(told["sequence"]):
            return True
        same = (known.start, known.end) == tuple(datetime.fromisoformat(told[n]) for n in ("start", "end"))
        stands = (known.status == "booked") == (kind != "cancellation")
        return known.of_series and same and stands and known.patient == recipient and not known.hidden

    def _remind(self, visit: Heard) -> None:
        """Owe the reminders that lie ahead and are not owed yet, for visits that stand."""
        person = visit.patient
        if person is None or visit.status != "booked" or visit.hidden or person in self.leaving:
            return
        for rule, channel, due in rules.reminders(visit, self.zone(visit)):
            if channel == "sms" and not rules.takes_texts(self.people.get(person)):
                continue
            known = (visit.id, visit.basis, rule, channel)
            is_owed = any(
                o.rule == rule and visit.id in o.tells and o.basis == visit.basis for o in self.owed
            )
            if due > max(self.now, visit.told_at) and known not in self.settled and not is_owed:
                tells = {visit.id: visit.version}
                self.owed.append(
                    Owed("reminder", rule, channel, person, tells, due, visit.start, visit.basis)
                )

    # -- people and places -----------------------------------------------------------------------------------

    def meet(self, recipient: str, person: Person, at: datetime) -> None:
        """How somebody is reached now; not what was so before, nor of who has left."""
        if recipient in self.leaving or not self._is_last_word(recipient, at):
            return
        self.people[recipient] = person
        for visit in self.visits.values():
            if visit.patient == recipient and visit.end > self.now:
                self._remind(visit)

    def _is_last_word(self, recipient: str, at: datetime) -> bool:
        """Whether nothing later was heard of them: a log may be read again, and clocks are seconds apart."""
        last = self.changed_at.get(recipient, at)
        if at < last - CLOCKS_APART:
            return False
        self.changed_at[recipient] = max(last, at)
        return True

    def lose(self, recipient: str, at: datetime) -> None:
        """Nobody is to write to them any more."""
        if not self._is_last_word(recipient, at):
            return
        self.people.pop(recipient, None)
        self.confirmed = {pair for pair in self.confirmed if pair[1] != recipient}
        self._drop(recipient, kept=())

    def erase(self, recipient: str, forget_by: datetime, awaited: tuple[str, ...] | None) -> None:
        """They leave: cancellations are all that they are still told."""
        known = self.leaving.get(recipient)
        if known is None:
            self.leaving[recipient] = Leaving(forget_by, awaited or ())
        elif awaited is not None and not known.done:
            known.forget_by, known.awaited = forget_by, awaited
        self._drop(recipient, kept=("cancellation",))

    def _drop(self, recipient: str, kept: tuple[str, ...]) -> None:
        for one in [o for o in self.owed if o.recipient == recipient and o.kind not in kept]:
            self.owed.remove(one)
            self.untold |= {(visit, recipient) for visit in one.tells}

    def may_be_forgotten(self, recipient: str) -> bool:
        leaving = self.leaving[recipient]
        waits = recipient in self.people and [o for o in self.owed if o.recipient == recipient]
        heard = all((v := self.visits.get(id_)) and v.status == "cancelled" for id_ in leaving.awaited)
        return self.now >= leaving.forget_by or (heard and not waits)

    def forget(self, recipient: str) -> None:
        self.leaving[recipient].done = True
        self.people.pop(recipient, None)
        self.confirmed = {pair for pair in self.confirmed if pair[1] != recipient}
        self.owed = [o for o in self.owed if o.recipient != recipient]
        for visit in self.visits.values():
            if visit.patient == recipient:
                visit.patient = None

    def reached(self) -> Reached:
        return Reached(dict(self.people), frozenset(self.confirmed), frozenset(self.refused))

    # -- what became of what was owed ------------------------------------------------------------------------

    def end(self, one: Owed, *, told: bool) -> None:
        """It has left, or cannot."""
        self.owed.remove(one)
        for visit in one.tells:
            if one.kind == "reminder":
                self.settled.add((visit, one.basis, one.rule, one.channel))
            elif not told:
                self.untold.add((visit, one.recipient))

    def is_sure(self, one: Owed) -> bool:
        """Whether the address may be written to as often as one likes."""
        person = self.people[one.recipient]
        given = person.given(rules.way(one, person))
        return person.vouched or (given is not None and (given.lower(), one.recipient) in self.confirmed)

    def overdue(self) -> list[Owed]:
        """What should have left by now: what waits for a civil hour waits no longer than that, what is for somebody who is not
        known until they are."""
        due = [o for o in self.owed if o.due <= self.now and o.recipient in self.people]
        return [o for o in due if not self._waits_for_morning(o)]

    def is_to_come(self, visit: str, recipient: str) -> bool:
        """Whether something of it waits for the morning."""
        return any(
            visit in o.tells and o.recipient == recipient and self._waits_for_morning(o) for o in self.owed
        )

    def put_off(self) -> None:
        """What a sender may have put off until the morning waits until then, also if it might leave at another hour by what is
        heard later: their reader has an e-mail address, their professional works elsewhere. But a place that is not known is
        looked for all night."""
        for one in self.owed:
            is_decided = one.due <= self.now and one.recipient in self.people and self._is_described(one)
            if is_decided and self.wait_until_civil(one, self.now):
                one.put_off = rules.morning(self.now, self._zone_of(one))

    def _is_described(self, one: Owed) -> bool:
        """Whether the directory has told of all who are there, and of where that is."""
        actors = self._about(one).actors
        places = actors & PLACES.keys() or {ROLES[role] for role in actors & ROLES.keys()}
        return actors | places <= self.known

    def _waits_for_morning(self, one: Owed) -> bool:
        if one.put_off is not None and self.now < one.put_off:
            return True
        if not self._wakes(one) or rules.is_civil(self.now, self._zone_of(one)):
            return False
        told = [one.starts[visit] for visit in one.tells if visit in one.starts]
        return one.kind not in rules.NEWS or not rules.may_wake(told, self.now, self._zone_of(one))

    def wait_until_civil(self, one: Owed, at: datetime) -> bool:
        """Whether it must not leave at `at`, since a civil hour comes before it is of no use."""
        if not self._wakes(one):
            return False
        zone = self._zone_of(one)
        told = [*one.starts.values(), *([one.before] if one.before is not None else [])]
        if one.kind in rules.NEWS and rules.may_wake(told, at, zone):
            return False
        return at < rules.morning(at, zone) < one.expires

    def _wakes(self, one: Owed) -> bool:
        """Whether whoever sleeps hears it, or it is a reminder."""
        return one.kind == "reminder" or rules.way(one, self.people.get(one.recipient)) == "sms"

    def _zone_of(self, one: Owed) -> ZoneInfo:
        return self.zone(self._about(one))

    def _about(self, one: Owed) -> Heard:
        return one.about or self.visits[min(one.tells)]
