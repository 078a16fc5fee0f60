"""Answers of participants: read, checked against the caller's rights, and carried out in the same transaction.

A patient answers for themselves and their relatives; a practice for its own people, and for its patients, who answer by
telephone. No quota or notice limits what both sides have agreed on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from creneau_booking.domain import changes, confirmation
from creneau_booking.domain.answers import Answer, Outcome, agreed, all_have_accepted, outcome_of
from creneau_booking.domain.appointment import CANCELLATION_REASONS, OF_PERSONS, Appointment
from creneau_booking.domain.refusals.answers import (
    AnswerForAnotherPractice,
    MayOnlyAnswer,
    ProposalNotFree,
    ProposalNotInAgenda,
)
from creneau_booking.domain.refusals.proxies import MayOnlyCancel
from creneau_booking.domain.refusals.registered import AppointmentUnknown
from creneau_booking.domain.refusals.slots import NoSlotThen
from creneau_booking.domain.status import claims
from creneau_booking.handlers.access import require_changeable
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.manner import Manner
from creneau_booking.handlers.telling import acting
from creneau_booking.storage.agendas import belonging
from creneau_booking.storage.agendas.slots_of_agendas import (
    all_agenda_actors,
    period_of,
    schedules_of,
    slots_between,
)
from creneau_booking.storage.availability.actors import resolve
from creneau_booking.storage.mapping.appointment import said
from creneau_booking.storage.visits.holds import hold_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

DECLINED_BY = {True: "pat", False: "prov"}
"""cancellation reason, by whether the patient (True) or the practice declined"""


OFFER_ANSWERED = {"accepted": "booked", "declined": "waitlist"}
"""the patient's answer to an offer of the waiting list → the appointment's status"""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was sent, with references relative to this base."""

    appointment: str
    """id of the appointment"""
    response: str
    actor: str | None
    status: str
    start: datetime | None = None
    end: datetime | None = None
    says_more: bool = False
    """whether the answer contains anything else: a comment, a name"""


class Answering:
    """Carries out answers."""

    def __init__(self, handlers: AppointmentHandlers) -> None:
        self._handlers = handlers
        self._repository = handlers.repository

    async def hear(self, connection: Connection, context: WriteContext, given: Given) -> Stored | None:
        """Returns the appointment after the answer; None if the answer names no actor (only a kind of participant).

        Refuses as `domain.answers` states, and answers that the caller may not give.
        """
        if given.actor is None and not context.by_patient:
            return None
        current = await self._repository.lock(connection, given.appointment)
        if current is None or current.deleted or not _is_theirs(context, current):
            raise AppointmentUnknown()
        before = self._repository.stored_facts(current)
        await self._require_theirs(connection, context, before, given)
        assert given.actor is not None
        before = await self._with_agenda(connection, before, given.actor)
        if before.is_offer and given.actor in before.patients and _is_about_the_offer(before, given):
            status = OFFER_ANSWERED[given.status]
            resource = {**self._repository.resource(current), "status": status}
            return await self._handlers.change(connection, context, current, resource)
        named = _named(before)
        actors = await _counts_for(connection, named, given.actor)
        proposers = (
            await _counts_for(connection, named, before.counter.by) if before.counter else frozenset[str]()
        )
        answer = Answer(given.response, actors, given.status, given.start, given.end, proposers)
        hold = await hold_of(connection, before.id) if before.status == "pending" else None
        held = hold is not None and hold.confirmation != "asked"
        outcome = outcome_of(before, answer, context.now, held=held)
        if outcome.effect == "nothing":
            return current
        waits = hold is not None and hold.confirmation == "asked"
        in_line = waits and hold is not None and hold.in_line_since is not None
        return await self._carry_out(
            connection, context, current, before, answer, outcome, waits=waits, in_line=in_line
        )

    async def _carry_out(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        before: Appointment,
        answer: Answer,
        outcome: Outcome,
        *,
        waits: bool,
        in_line: bool,
    ) -> Stored:
        after, resource = outcome.appointment, self._repository.resource(current)
        asks_until: datetime | None = None
        if outcome.effect == "propose" and not answer.by_patient:
            await _require_in_agendas(connection, after)
        match outcome.effect:
            case "cancel" if before.is_offer or in_line:
                after = replace(before, status="waitlist", counter=None)  # the patient stays in line
            case "cancel":
                await self._require_cancellable(connection, context, before)
                resource = _cancelled(resource, DECLINED_BY[answer.by_patient])
                after = after.cancelled()
            case "book":
                after = agreed(after)
            case "move":
                resource = await self._moved(connection, resource, before, after)
                after = agreed(after) if all_have_accepted(after) else replace(after, status="pending")
            case "propose" if waits:
                assert after.counter is not None
                first = min(after.counter.start, before.start or after.counter.start)
                asks_until = confirmation.deadline(context.now, first, self._handlers.patience)
            case "reopen":
                after = replace(after, status="pending")
                asks_until = confirmation.deadline(context.now, before.start, self._handlers.patience)
        agreed_by_all = context.unlimited()
        return await self._handlers.change(
            connection,
            agreed_by_all,
            current,
            said(after, resource),
            Manner(
                move=outcome.effect == "move",
                by=acting(context),
                answered=after,
                asks_until=asks_until,
            ),
        )

    async def _with_agenda(self, connection: Connection, before: Appointment, actor: str) -> Appointment:
        """Adds the answering actor if they are of the slots' agendas but no participant: software may book with the patient
        as the only participant."""
        if await _counts_for(connection, named := _named(before), actor) & named:
            return before
        agenda = await all_agenda_actors(connection, before.slots)
        return before.in_other_agendas((), await _counts_for(connection, agenda, actor) & agenda)

    async def _require_theirs(
        self, connection: Connection, context: WriteContext, before: Appointment, given: Given
    ) -> None:
        if context.by_patient:
            await self._handlers.word.require_answerable(connection, context, before, given.actor)
            _require_may_say(context, before, given)
            return
        assert given.actor is not None
        if context.organizations is None or given.actor.split("/", 1)[0] in OF_PERSONS:
            return
        actors = await belonging.actors_of(connection, context.organizations, {given.actor}, before.slots)
        if given.actor not in actors.theirs:
            raise AnswerForAnotherPractice()

    async def _require_cancellable(
        self, connection: Connection, context: WriteContext, before: Appointment
    ) -> None:
        """Applies the rules of cancelling to an answer that declines: deadlines, and the count of cancellations."""
        if claims(before.status):
            changes.require_to_come(before, context.now, by_patient=context.by_patient)
            await require_changeable(connection, context, before)
        await self._handlers.word.hear_removal(connection, context, before)

    async def _moved(
        self, connection: Connection, resource: Resource, before: Appointment, after: Appointment
    ) -> Resource:
        """The appointment with its agendas' slots at the agreed time. Raises ProposalNotFree if an agenda has none."""
        assert after.start is not None
        assert after.end is not None
        rest = {name: value for name, value in resource.items() if name != "slot"}
        slots: list[str] = []
        for agenda in await schedules_of(connection, before.slots):
            try:
                slots += await slots_between(
                    connection, agenda.removeprefix("Schedule/"), after.start, after.end, like=before.slots
                )
            except NoSlotThen as error:
                raise ProposalNotFree(after.start) from error
        return {**rest, "slot": [{"reference": f"Slot/{id_}"} for id_ in slots]} if slots else rest


async def _require_in_agendas(connection: Connection, proposed: Appointment) -> None:
    """Raises ProposalNotInAgenda if an agenda of the visit has no slots, free or taken, for the proposed time: nobody could
    accept it."""
    assert proposed.counter is not None
    start, end = proposed.counter.start, proposed.counter.end
    for agenda in await schedules_of(connection, proposed.slots):
        try:
            slots = await slots_between(
                connection, agenda.removeprefix("Schedule/"), start, end, like=proposed.slots
            )
        except NoSlotThen as error:
            raise ProposalNotInAgenda(start) from error
        there = await period_of(connection, slots)
        if there is None or start < there[0] or end > there[1]:
            raise ProposalNotInAgenda(start)


def _named(appointment: Appointment) -> frozenset[str]:
    return frozenset(p.reference for p in appointment.participants if p.reference)


async def _counts_for(connection: Connection, named: frozenset[str], actor: str) -> frozenset[str]:
    """The references for which an actor answers: a role and its Practitioner are one person."""
    roles = {r for r in {*named, actor} if r.startswith("PractitionerRole/")}
    if not roles:
        return frozenset({actor})
    people = await resolve(connection, sorted(roles))
    person = people.get(actor, actor)
    return frozenset({actor, person, *(role for role, who in people.items() if who == person)})


def _require_may_say(context: WriteContext, before: Appointment, given: Given) -> None:
    """Raises MayOnlyCancel if a representative may only cancel and does not decline. Raises MayOnlyAnswer if the holder of a
    message's link does more than accept or decline."""

    def may(what: str) -> bool:
        return any(context.may(what, patient.removeprefix("Patient/")) for patient in before.patients)

    if may("book"):
        return
    if may("answer"):
        if given.says_more or given.status not in ("accepted", "declined"):
            raise MayOnlyAnswer()
    elif given.status != "declined" or not may("cancel"):
        raise MayOnlyCancel()


def _is_about_the_offer(before: Appointment, given: Given) -> bool:
    """Whether an answer ends an offer of the waiting list: it declines, or accepts the offer's time. An acceptance without
    time counts only as long as the practice proposes no other time."""
    if given.status != "accepted" or given.start is not None or given.end is not None:
        as_offered = (given.start, given.end) == (before.start, before.end)
        return given.status == "declined" or (given.status == "accepted" and as_offered)
    return before.counter is None or before.counter.by in before.patients


def _is_theirs(context: WriteContext, current: Stored) -> bool:
    if context.organizations is None:
        return True
    terms: Collection[str] = current.terms or ()
    return not set(terms).isdisjoint(owned_by(context.organizations))


def _cancelled(resource: Resource, code: str) -> Resource:
    return {**resource, "cancelationReason": {"coding": [{"system": CANCELLATION_REASONS, "code": code}]}}
