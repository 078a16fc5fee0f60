"""Checks what a caller writes in an appointment against the caller's rights.

Patients book the agenda's people and nobody else, set the elements on the published list, confirm their own live holds
and stay within the quotas. A practice's software books the actors of its organizations. The deployment's own software is
not limited. All checks come before slots are locked, except for the people, who are known from the locked slots only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from creneau_booking.domain import changes, participants, patient_elements, quotas
from creneau_booking.domain.appointment import OF_PERSONS, Appointment, SlotFact
from creneau_booking.domain.quotas import ActionKind, Quotas
from creneau_booking.domain.refusals.participants import ParticipantsNotTheirs
from creneau_booking.domain.refusals.registered import AppointmentUnknown
from creneau_booking.domain.refusals.slots import UnknownSlots
from creneau_booking.domain.status import claims
from creneau_booking.handlers.access import require_known_patients
from creneau_booking.storage.actions import account_key, act, patient_key, take_back_hold
from creneau_booking.storage.agendas import belonging
from creneau_booking.storage.agendas.ownership import owners_among
from creneau_booking.storage.agendas.rules import count_requests
from creneau_booking.storage.agendas.slots_of_agendas import agenda_actors
from creneau_booking.storage.agendas.with_an_agenda import with_an_agenda
from creneau_booking.storage.availability.actors import resolve
from creneau_booking.storage.mapping import appointment as mapper
from creneau_booking.storage.mapping.wishes import wish_of, without_wishes
from creneau_booking.storage.people.related import relatives_of
from creneau_booking.storage.people.true_words import without_true_words
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.holds import Hold, holds_all
from creneau_booking.storage.visits.waiting import agendas_named
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, WriteContext

ASKED = ("proposed", "waitlist")
"""the statuses of a request, which takes nothing"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an appointment: the state before and after, as resources and as facts."""

    said_before: Resource
    before: Appointment
    said: Resource
    after: Appointment
    hold: Hold | None
    """the hold that the appointment was in"""
    moving: bool
    """`$reschedule`, or a `$book` that moves"""


class OwnWord:
    """Checks what callers write in appointments; refuses what they may not."""

    def __init__(self, repository: AppointmentRepository, limits: Quotas) -> None:
        self._repository = repository
        self._quotas = limits

    # -- elements --------------------------------------------------------------------------------------------

    async def hear_new(
        self,
        connection: Connection,
        context: WriteContext,
        said: Resource,
        wanted: Appointment,
        kind: ActionKind,
    ) -> None:
        """Refuses a new appointment that the caller may not make, or that exceeds a quota."""
        if context.patient_ids is None:
            await self._require_actors(connection, context, wanted, None, said)
            return
        told = without_true_words(said, wanted, context.now)
        asks = wanted.status in ASKED
        patient_elements.require_sayable(without_wishes(told) if asks else told)
        patient = participants.require_one_own_patient(wanted, context.patient_ids)
        await self._count(connection, context, patient, kind, wanted)

    async def hear_change(self, connection: Connection, context: WriteContext, change: Change) -> Resource:
        """Returns the resource as it may be stored. Refuses changes that the caller may not make, naming each element."""
        before, after = change.before, change.after
        if context.patient_ids is None:
            await self._require_actors(connection, context, after, before)
            if set(after.patients) - set(before.patients):
                await require_known_patients(connection, context, after)
            return change.said
        moving = change.moving and changes.is_moved(before, after)
        if before.status == "pending" and (after.status == "booked" or (moving and change.hold is not None)):
            changes.require_own_live_hold(*_whose(change.hold, context))
        shared = len(set(before.patients)) > 1
        own_hold = change.hold is not None and all(_whose(change.hold, context)[1:])
        phase = patient_elements.phase_of(before.status, held=own_hold, shared=shared)
        # A patient can neither set nor remove the end of a hold.
        said_before = mapper.said(before.without_hold(), change.said_before)
        said = patient_elements.keeping_meta(change.said_before, change.said)
        said = mapper.said(after.without_hold(), said)
        told_before, told = said_before, said
        if phase == "request":
            told_before, told = without_wishes(said_before), without_wishes(said)
        patient_elements.require_changeable(told_before, told, phase, moving=moving)
        await self._require_own_answers(connection, context, change, phase, moving=moving)
        if not shared:
            participants.require_one_own_patient(after, context.patient_ids)
        kind = _kind_of(before, after)
        if kind is not None:
            await self._count(connection, context, after.patients[0], kind, after)
        return said

    async def hear_hold(self, connection: Connection, context: WriteContext, change: Change) -> Resource:
        """Like `hear_change`, for a stored request that is to be held, or a hold that is to be extended."""
        if context.by_patient and claims(change.before.status):
            changes.require_own_live_hold(*_whose(change.hold, context))
        return await self.hear_change(connection, context, change)

    async def hear_removal(self, connection: Connection, context: WriteContext, before: Appointment) -> None:
        """Refuses to delete an appointment to which others come, or of somebody else; counts a booked one as cancelled."""
        if context.patient_ids is None:
            return
        patient = participants.require_nobody_else_comes(before, context.patient_ids)
        if before.status == "booked":
            await self._count(connection, context, patient, "cancelled", before)

    async def _require_own_answers(
        self,
        connection: Connection,
        context: WriteContext,
        change: Change,
        phase: patient_elements.Phase,
        *,
        moving: bool,
    ) -> None:
        # A request may name others, and a move adds them: they are checked as the agenda's people.
        if phase == "request" or moving:
            return
        before, after = change.before.participants, change.after.participants
        own: frozenset[str] = frozenset()
        relatives: frozenset[str] = frozenset()
        if before != after and change.before.status in ("pending", "booked"):
            named = {p.reference for p in (*before, *after) if p.reference and p.type == "RelatedPerson"}
            relatives = await self._relatives(connection, context, change.before.patients, named)
            own = relatives | {f"Patient/{id_}" for id_ in context.patient_ids or ()}
        joining = relatives if phase == "held" else ()
        participants.require_others_untouched(before, after, own, may_join=joining)

    # -- who takes part --------------------------------------------------------------------------------------

    async def with_company(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        slots: Sequence[SlotFact],
        before: Appointment | None = None,
    ) -> Appointment:
        """Gives a patient's appointment exactly the actors of its locked slots' agendas, beside the patient.

        Participants of `before` may stay; the claim checks again who is taken.
        """
        if not context.by_patient or not slots or len(slots) < len(wanted.slots):
            return wanted  # a slot that is missing is refused with the claim
        agenda = tuple(dict.fromkeys(actor for slot in slots for actor in slot.actors))
        return await self._with_agenda(connection, context, wanted, agenda, before)

    async def with_asked_company(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        before: Appointment | None = None,
    ) -> Appointment:
        """Like `with_company`, for a request, which takes nothing: without slots it may name actors who have an agenda.
        Raises UnknownSlots if its slots do not exist; a practice's appointment that is over may name any slots."""
        if not context.by_patient and wanted.status not in ASKED:
            return wanted
        found = await agenda_actors(connection, wanted.slots, context) if wanted.slots else {}
        had = before.slots if before is not None else ()
        missing = sorted(set(wanted.slots) - set(found) - set(had))
        if missing:
            raise UnknownSlots(tuple(missing))
        if not context.by_patient:
            return wanted
        agenda = tuple(dict.fromkeys(actor for actors in found.values() for actor in actors))
        if not wanted.slots:
            asked = {p.reference for p in wanted.participants if p.reference and p.type not in OF_PERSONS}
            agenda = tuple(sorted(await with_an_agenda(connection, asked)))
        return await self._with_agenda(connection, context, wanted, agenda, before)

    async def _with_agenda(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        agenda: tuple[str, ...],
        before: Appointment | None,
    ) -> Appointment:
        had = {p.reference for p in before.participants} if before is not None else set()
        allowed: set[str | None] = {*agenda, *wanted.patients, *had}
        unfit = participants.strangers(wanted, allowed)
        if unfit:
            named = participants.named_at(wanted, unfit, "RelatedPerson")
            allowed |= await self._relatives(connection, context, wanted.patients, named)
            if participants.named_at(wanted, unfit, "Practitioner"):
                allowed |= set((await resolve(connection, agenda)).values())
            unfit = participants.strangers(wanted, allowed)
        if unfit:
            raise ParticipantsNotTheirs(unfit)
        people = [actor for actor in allowed if actor and actor.split("/", 1)[0] not in OF_PERSONS]
        return wanted.with_people(agenda, people, before)

    async def _relatives(
        self, connection: Connection, context: WriteContext, patients: Collection[str], named: Collection[str]
    ) -> frozenset[str]:
        ids = {patient.removeprefix("Patient/") for patient in patients} & (
            context.patient_ids or frozenset()
        )
        return await relatives_of(connection, ids, named)

    async def _require_actors(
        self,
        connection: Connection,
        context: WriteContext,
        after: Appointment,
        before: Appointment | None,
        said: Resource | None = None,
    ) -> None:
        """Refuses actors who are not of the practices for which software acts. An entry of their waiting list may name an
        agenda (in `said`) instead of an actor."""
        if context.organizations is None:
            return
        had = {p.reference for p in before.participants} if before is not None else set()
        named = {
            p.reference
            for p in after.participants
            if p.reference and p.type not in OF_PERSONS and p.reference not in had
        }
        slots = sorted(set(after.slots) - set(before.slots if before is not None else ()))
        if before is not None and not named and not slots:
            return
        actors = await belonging.actors_of(connection, context.organizations, named, slots)
        participants.require_actors_known(after, actors.unknown)
        participants.require_actors_theirs(after, actors.foreign)
        if before is None and not after.slots:
            theirs = actors.theirs or await self._agendas_waited_for(connection, context, after, said or {})
            participants.require_one_of_theirs(theirs)

    async def _agendas_waited_for(
        self, connection: Connection, context: WriteContext, after: Appointment, said: Resource
    ) -> frozenset[str]:
        """The agendas of the caller's organizations among those that are waited for."""
        if after.status != "waitlist":
            return frozenset()
        named = wish_of(said, self._repository.base_url).agendas
        terms = await agendas_named(connection, sorted(named)) if named else {}
        own = context.organizations or frozenset()
        return frozenset(id_ for id_, of in terms.items() if owners_among(of) & own)

    # -- answers ---------------------------------------------------------------------------------------------

    async def require_answerable(
        self,
        connection: Connection,
        context: WriteContext,
        appointment: Appointment,
        actor: str | None,
    ) -> None:
        """Refuses a patient's answer to an appointment that they do not see, or for anybody but themselves and their
        relatives."""
        seen = {f"Patient/{id_}" for id_ in context.patient_ids or ()}
        if appointment.hidden:
            seen = {r for r in seen if not context.represents(r.removeprefix("Patient/"))}
        if not set(appointment.patients) & seen:
            raise AppointmentUnknown()
        own = {p for p in appointment.patients if p.removeprefix("Patient/") in (context.patient_ids or ())}
        present = {p.reference for p in appointment.participants if p.reference}
        relatives = {r for r in present if r.startswith("RelatedPerson/")}
        own |= (
            await self._relatives(connection, context, appointment.patients, relatives)
            if relatives
            else set()
        )
        participants.require_answerable(actor, own)

    # -- quotas ----------------------------------------------------------------------------------------------

    async def _count(
        self,
        connection: Connection,
        context: WriteContext,
        patient: str,
        kind: ActionKind,
        appointment: Appointment,
    ) -> None:
        """Counts the action; refuses one too many. From here on, other requests of this account and patient wait.

        Hidden appointments are counted separately, so that no refusal reveals them to representatives.
        """
        counsellor = context.role == "counsellor"
        account, of_patient = await act(
            connection,
            kind,
            account_key(context.issuer, context.subject),
            patient_key(patient, hidden=appointment.hidden),
            context.now,
        )
        if kind == "asked":
            if not counsellor:
                people = context.patient_ids or frozenset()
                represented = {id_ for id_ in people if context.represents(id_)}
                waiting = await count_requests(
                    connection,
                    patient.removeprefix("Patient/"),
                    people - represented,
                    represented,
                    besides=appointment.id,
                )
                quotas.require_few_requests(self._quotas, *waiting)
            return
        if kind == "cancelled":
            return
        if len(account.held) > self._quotas.holds_begun_per_account_per_hour_max and kind == "held":
            # A hold that replaces the account's own on the same slots is not a new one (`take_back`).
            slots, holder = appointment.slots, (context.issuer, context.subject)
            if slots and await holds_all(connection, slots, *holder, context.now):
                account = replace(account, held=account.held[:-1])
        quotas.require_rate(self._quotas, account, of_patient, context.now, counsellor=counsellor)
        if not counsellor:
            quotas.require_few_cancellations(self._quotas, account, context.now)

    async def take_back(
        self, connection: Connection, context: WriteContext, patient: str, *, hidden: bool
    ) -> None:
        """Takes a counted hold out of the count: it continues one that the account had."""
        account = account_key(context.issuer, context.subject)
        await take_back_hold(connection, account, patient_key(patient, hidden=hidden))


def _whose(hold: Hold | None, context: WriteContext) -> tuple[bool, bool, bool]:
    """Whether there is a hold, whether it is the caller's, and whether it has not run out."""
    if hold is None:
        return False, False, False
    own = hold.is_offer or (hold.issuer, hold.subject) == (context.issuer, context.subject)
    return True, own, hold.expires_at > context.now


def _kind_of(before: Appointment, after: Appointment) -> ActionKind | None:
    """The kind of action as which a patient's change counts; None: it is not limited."""
    if after.status == "booked":
        return "booked" if before.status != "booked" or changes.is_moved(before, after) else None
    if after.status == "pending":
        return "held" if before.status != "pending" else "booked" if changes.is_moved(before, after) else None
    if before.status == "booked" and after.status == "cancelled":
        return "cancelled"
    if before.is_offer and after.status == "waitlist":
        return None
    return "asked" if after.status in ASKED and before.status not in ASKED else None
