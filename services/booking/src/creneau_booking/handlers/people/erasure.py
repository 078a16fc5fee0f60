"""Erases a person from booking: first cancels appointments to come and publishes that, then removes the identity everywhere.

Everything here runs inside the caller's transaction: after a crash all of it has happened, or nothing. Repeating it
changes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.erasure import KeepingTimes, Kept, ends_with_the_person, kept
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.people.accounts import tell
from creneau_booking.publishing import erasure_event, erasure_tombstone
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.people import erasures, identities
from creneau_booking.storage.people.accounts import end_links, end_proxy
from creneau_booking.storage.people.anonymous import Anonymiser
from creneau_booking.storage.people.erasures import Named, named_in
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.messaging.outbox import append


@dataclass(frozen=True)
class ErasedCount:
    """How many resources of a type were deleted or anonymised."""

    what: str
    count: int


@dataclass(frozen=True)
class Outcome:
    """The effect of an erasure, planned or done."""

    patient_id: str
    cancelled: tuple[str, ...]
    """appointments (ids) to come"""
    erased: tuple[ErasedCount, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True)
class PersonalStores:
    """The stores of the types that name people."""

    patients: GenericStore
    related_persons: GenericStore
    responses: GenericStore
    provenances: GenericStore
    repository: AppointmentRepository


class PatientErasure:
    """The command `erase`, and its preview `foresee`. Stateless; one a process."""

    def __init__(
        self, stores: PersonalStores, handlers: AppointmentHandlers, times: KeepingTimes, base_url: str
    ) -> None:
        self._stores = stores
        self._handlers = handlers
        self._times = times
        self._base_url = base_url

    async def foresee(self, connection: Connection, patient_id: str, now: datetime) -> Outcome:
        """Returns the effect that `erase` would have at `now`; changes nothing."""
        named = await named_in(connection, patient_id)
        appointments = await self._appointments(connection, named, lock=False)
        ending = [a for a in appointments if self._ends(a, patient_id, now)]
        return self._outcome(patient_id, named, [a.id for a in ending], appointments, now)

    async def erase(self, connection: Connection, context: WriteContext, current: Stored) -> Outcome:
        """Erases the Patient `current`, whom the caller has locked."""
        outcome = await self._erase_resources(connection, context, current)
        ended = await end_links(connection, current.id)
        await tell(connection, ended, context.now, context.correlation_id)
        accounts = [account for account, oneself in ended.items() if oneself]
        await erasures.forget_accounts(connection, current.id, accounts)
        await erasures.forget_trail_agents(connection, current.id, accounts)
        forget_by = context.now + self._times.messages
        await append(
            connection,
            [
                erasure_event(current.id, context.now, outcome.cancelled, forget_by, context.correlation_id),
                erasure_tombstone(current.id, context.correlation_id),
            ],
        )
        return outcome

    async def sweep(self, connection: Connection, context: WriteContext, patient_id: str) -> int:
        """Erases again what requests that were running during an erasure have written since; returns how many resources."""
        current = await self._stores.patients.lock(connection, patient_id)
        if current is None:
            return 0
        outcome = await self._erase_resources(connection, context, current)
        return sum(one.count for one in outcome.erased)

    async def _erase_resources(
        self, connection: Connection, context: WriteContext, current: Stored
    ) -> Outcome:
        named = await named_in(connection, current.id)
        appointments = await self._appointments(connection, named, lock=True)
        ending = [a for a in appointments if self._ends(a, current.id, context.now)]
        outcome = self._outcome(current.id, named, [a.id for a in ending], appointments, context.now)
        gone = self._people(current.id, named)
        await wait_for_turn(connection, *(a.id for a in ending))
        for appointment in appointments:
            await self._erase_appointment(connection, context, appointment, current.id, gone)
        await self._erase_said(connection, context, named, gone)
        for id_ in named.related_persons:
            left = await end_proxy(connection, id_)
            await tell(connection, left, context.now, context.correlation_id)
            await _erase(self._stores.related_persons, connection, context, id_)
        if not current.deleted:
            await self._stores.patients.erase(connection, context, current)
        await identities.forget(connection, current.id)
        await erasures.forget_occupancies(connection, current.id)
        await erasures.forget_events(connection, current.id, named.appointments)
        return outcome

    async def _appointments(self, connection: Connection, named: Named, *, lock: bool) -> list[Stored]:
        store = self._stores.repository.store
        take = store.lock if lock else store.read
        found = [await take(connection, id_) for id_ in named.appointments]
        return [stored for stored in found if stored is not None]

    def _ends(self, stored: Stored, patient_id: str, now: datetime) -> bool:
        if stored.deleted:
            return False
        facts = self._stores.repository.stored_facts(stored)
        patient = f"Patient/{patient_id}"
        return patient in facts.patients and ends_with_the_person(facts, patient, now)

    async def _erase_appointment(
        self,
        connection: Connection,
        context: WriteContext,
        stored: Stored,
        patient_id: str,
        gone: frozenset[str],
    ) -> None:
        leaving = False
        if not stored.deleted:
            facts = self._stores.repository.stored_facts(stored)
            leaving = facts.start is not None and facts.start > context.now
            if self._ends(stored, patient_id, context.now):
                stored = await self._handlers.withdraw(connection, context, stored)
        anonymous = Anonymiser(gone, self._base_url, leaving=leaving).appointment
        await self._stores.repository.store.amend(connection, context, stored, anonymous, gone)

    async def _erase_said(
        self, connection: Connection, context: WriteContext, named: Named, gone: frozenset[str]
    ) -> None:
        """Erases the person's own answers and the Provenances of their records; anonymises others that name them."""
        out = Anonymiser(gone, self._base_url)
        for store, ids, role, anonymous in (
            (self._stores.responses, named.responses, "actor", out.response),
            (self._stores.provenances, named.provenances, "target", out.provenance),
        ):
            own = [f"{role}={person}" for person in gone]
            for id_ in ids:
                if await store.has_any_term(connection, id_, own):
                    await _erase(store, connection, context, id_)
                else:
                    await _amend(store, connection, context, id_, anonymous, gone)

    @staticmethod
    def _people(patient_id: str, named: Named) -> frozenset[str]:
        """The person and those who were registered as acting for them."""
        return frozenset(
            [f"Patient/{patient_id}", *(f"RelatedPerson/{id_}" for id_ in named.related_persons)]
        )

    def _outcome(
        self,
        patient_id: str,
        named: Named,
        cancelled: Sequence[str],
        appointments: Sequence[Stored],
        now: datetime,
    ) -> Outcome:
        counts = (
            ErasedCount("Patient", 1),
            ErasedCount("RelatedPerson", len(named.related_persons)),
            ErasedCount("AppointmentResponse", len(named.responses)),
            ErasedCount("Provenance", len(named.provenances)),
            ErasedCount("Appointment", len(named.appointments)),
        )
        facts = [self._stores.repository.stored_facts(a) for a in appointments if not a.deleted]
        ends = [f.end for f in facts if f.end is not None]
        return Outcome(
            patient_id,
            tuple(cancelled),
            tuple(count for count in counts if count.count),
            tuple(kept(self._times, now, ends)),
        )


async def _erase(store: GenericStore, connection: Connection, context: WriteContext, id_: str) -> None:
    current = await store.lock(connection, id_)
    if current is not None:
        await store.erase(connection, context, current)


async def _amend(
    store: GenericStore,
    connection: Connection,
    context: WriteContext,
    id_: str,
    change: Callable[[Resource], Resource],
    gone: frozenset[str],
) -> None:
    current = await store.lock(connection, id_)
    if current is not None:
        await store.amend(connection, context, current, change, gone)
