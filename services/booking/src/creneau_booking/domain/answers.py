"""How a participant's answer (AppointmentResponse) changes an appointment: the rules, pure.

| answer | effect |
|---|---|
| accepted | the participant's status; once all required participants have accepted: booked |
| accepted, of the other side's counter-proposal | the appointment moves to that time |
| declined | the participant's status; if they are required: cancelled |
| tentative, with another time | a counter-proposal: everybody else is asked again |
| needs-action | the answer is withdrawn; if the practice withdraws before the visit, it is asked again |
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from creneau_booking.domain.appointment import OF_PERSONS, Appointment, CounterProposal, Participant
from creneau_booking.domain.refusals.answers import (
    AnsweredAfterEnd,
    AnsweredAfterStart,
    AnswerOrder,
    AnswerTimes,
    ProposalBegun,
)
from creneau_booking.domain.status import AppointmentStatus
from creneau_booking.domain.times import require_sensible

Effect = Literal["nothing", "answer", "book", "cancel", "propose", "move", "reopen"]
OPEN: frozenset[AppointmentStatus] = frozenset({"proposed", "waitlist", "pending", "booked"})
"""The statuses in which an appointment can be answered: the visit has neither begun nor been given up."""
_WHO_ANSWERS = (*OF_PERSONS, "Practitioner", "PractitionerRole")
"""types of participants who answer for themselves; a place, an offer or a device is there if its practice is"""
_NOT_ASKED = ("optional", "information-only")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `actors`: the participants (references) for whom it counts: a role stands for its Practitioner.
    `proposers`: the participants for whom the existing counter-proposal counts."""

    response: str
    """id of the AppointmentResponse"""
    actors: frozenset[str]
    status: str
    start: datetime | None = None
    end: datetime | None = None
    proposers: frozenset[str] = frozenset()

    @property
    def by_patient(self) -> bool:
        return any(actor.split("/", 1)[0] in OF_PERSONS for actor in self.actors)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The effect of an answer, and the appointment with it."""

    effect: Effect
    appointment: Appointment


def outcome_of(before: Appointment, answer: Answer, now: datetime, *, held: bool) -> Outcome:
    """How `answer` changes `before`. `held`: somebody holds the appointment, and they alone decide whether it is booked.

    Raises AnsweredAfterEnd if the visit has begun or is over, AnsweredAfterStart if a request is accepted too late;
    AnswerOrder, AnswerTimes, OutOfReach or ProposalBegun if the answer's times are wrong. An answer for somebody who is no
    participant changes nothing: software keeps answers from elsewhere.
    """
    theirs = [p for p in before.participants if p.reference in answer.actors]
    if not theirs:
        return Outcome("nothing", before)
    if before.status not in OPEN:
        if answer.status == "declined" and before.status == "cancelled" and _have(theirs, "declined"):
            return Outcome("nothing", before)  # sent again: this answer is what ended it
        raise AnsweredAfterEnd(before.status)
    other = _other_time(before, answer)
    if answer.status == "tentative" and other is not None:
        if other[0] <= now:
            raise ProposalBegun(other[0])
        return _proposed(before, answer, *other)
    after = before.answered_by(answer.actors, answer.status)
    own = before.counter is not None and before.counter.by in answer.actors
    if own:  # another answer withdraws the actor's own counter-proposal
        after = replace(after, counter=None)
    if answer.status == "accepted":
        return _accepted(before, after, answer, other, now, own=own, held=held)
    if other is not None:
        raise AnswerTimes()
    if answer.status == "declined" and any(map(_is_required, theirs)) and not _one_of_several(before, theirs):
        return Outcome("cancel", after)
    if after == before:
        return Outcome("nothing", before)
    withdrawn = answer.status == "needs-action" and before.status == "booked" and not answer.by_patient
    is_to_come = before.start is None or before.start > now
    if withdrawn and is_to_come and any(map(_is_required, theirs)):
        return Outcome("reopen", after)
    return Outcome("answer", after)


def all_have_accepted(appointment: Appointment) -> bool:
    """Whether every required person has accepted. If the practice names no person, one accepted place, offer or device will
    do."""
    required = [p for p in appointment.participants if _is_required(p)]
    persons = [p for p in required if p.type is None or p.type in _WHO_ANSWERS]
    things = [p for p in required if p not in persons]
    practice = [p for p in persons if p.type not in OF_PERSONS]
    by_things = bool(practice) or not things or any(p.status == "accepted" for p in things)
    return all(p.status == "accepted" for p in persons) and by_things


def practice_has_accepted(appointment: Appointment) -> bool:
    """Whether everybody of the practice who is required has accepted already, so that nobody is to be asked."""
    theirs = [p for p in appointment.participants if _is_required(p) and p.type not in OF_PERSONS]
    people = [p for p in theirs if p.type in (None, *_WHO_ANSWERS)]
    return bool(theirs) and all(p.status == "accepted" for p in people or theirs)


def agreed(appointment: Appointment) -> Appointment:
    """The appointment as booked: places, offers and devices have accepted. People keep their status, so optional ones are
    still asked."""
    people = tuple(
        replace(p, status="accepted") if p.type not in (None, *_WHO_ANSWERS) and p.status != "declined" else p
        for p in appointment.participants
    )
    return replace(appointment, status="booked", participants=people)


def _accepted(
    before: Appointment,
    after: Appointment,
    answer: Answer,
    other: tuple[datetime, datetime] | None,
    now: datetime,
    *,
    own: bool,
    held: bool,
) -> Outcome:
    counter = before.counter
    if counter is not None and not own:
        if other == (counter.start, counter.end) or (other is None and answer.start is None):
            if counter.start <= now:
                raise ProposalBegun(counter.start)
            both = after.answered_by({counter.by, *answer.proposers}, "accepted")
            return Outcome("move", replace(both, counter=None, start=counter.start, end=counter.end))
        if other is None:  # accepts the current time: the counter-proposal is refused
            after = replace(after, counter=None)
    if other is not None:
        raise AnswerTimes()
    takes = before.status in ("proposed", "waitlist") and bool(before.slots or before.start)
    if (
        (before.status == "pending" or takes)
        and not held
        and after.counter is None
        and all_have_accepted(after)
    ):
        if takes and before.start is not None and before.start <= now:
            raise AnsweredAfterStart(before.start)
        return Outcome("book", after)
    return Outcome("nothing" if after == before else "answer", after)


def _proposed(before: Appointment, answer: Answer, start: datetime, end: datetime) -> Outcome:
    """Makes the proposer tentative and asks all other people again (HL7's renegotiation)."""
    by = next(p.reference for p in before.participants if p.reference in answer.actors)
    assert by is not None
    if before.counter is not None and (before.counter.by, before.counter.start, before.counter.end) == (
        by,
        start,
        end,
    ):
        return Outcome("nothing", before)
    asked = tuple(
        replace(p, status="needs-action")
        if p.type in _WHO_ANSWERS and p.status != "declined" and p.reference not in answer.actors
        else p
        for p in before.participants
    )
    after = replace(before, participants=asked).answered_by(answer.actors, "tentative")
    return Outcome("propose", replace(after, counter=CounterProposal(answer.response, by, start, end)))


def _other_time(before: Appointment, answer: Answer) -> tuple[datetime, datetime] | None:
    """Returns the answer's time, unless it is the appointment's own."""
    if answer.start is None and answer.end is None:
        return None
    if answer.start is None or answer.end is None or answer.end <= answer.start:
        raise AnswerOrder()
    require_sensible("AppointmentResponse", answer.start, answer.end)
    said = (answer.start, answer.end)
    return None if said == (before.start, before.end) else said


def _is_required(participant: Participant) -> bool:
    """Whether the participant has to come: everybody does unless marked otherwise, a RelatedPerson only if marked
    `required`."""
    said = participant.description.get("required")
    if participant.type == "RelatedPerson":
        return said == "required"
    return said not in _NOT_ASKED


def _have(participants: Collection[Participant], status: str) -> bool:
    return all(p.status == status for p in participants)


def _one_of_several(before: Appointment, theirs: Collection[Participant]) -> bool:
    """Whether one of several patients answers: the visit goes on for the others."""
    return len(set(before.patients)) > 1 and all(p.type == "Patient" for p in theirs)
