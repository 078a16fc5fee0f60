"""The Appointment type: every write goes through the booking rules."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain.changes import is_moved
from creneau_booking.domain.refusals.series import ScopeUnfit
from creneau_booking.domain.status import claims
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.manner import PLAINLY, Manner
from creneau_booking.handlers.series import BY_TEMPLATE, Series, Wanted
from creneau_booking.storage.mapping.fellow_patients import with_unseen
from creneau_booking.storage.mapping.series import scope_of, without_series
from creneau_booking.storage.slots.choreography import appointment_moved_by_itself, is_on_its_way, onto
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.known_references import with_time_of_slots
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.exchange import http_date
from creneau_shared.fhir.storage.store import HistoryQuery, Resource, Stored, WriteContext


class AppointmentStore:
    """A `ResourceStore` that reads from the repository and writes through the handlers."""

    resource_type = "Appointment"

    def __init__(
        self, repository: AppointmentRepository, handlers: AppointmentHandlers, series: Series
    ) -> None:
        self._series = series
        self._repository = repository
        self._store = repository.store
        self._handlers = handlers

    async def read(self, connection: Connection, id_: str) -> Stored | None:
        return await self._store.read(connection, id_)

    async def read_version(
        self, connection: Connection, id_: str, version: int, required: Sequence[str] | None = None
    ) -> Stored | None:
        return await self._store.read_version(connection, id_, version, required)

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        return await self._repository.lock(connection, id_)

    async def has_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        return await self._store.has_any_term(connection, id_, terms)

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        return await self._store.had_any_term(connection, id_, terms)

    async def history(self, connection: Connection, query: HistoryQuery) -> Sequence[Stored]:
        return await self._store.history(connection, query)

    async def history_total(self, connection: Connection, query: HistoryQuery, most: int | None) -> int:
        return await self._store.history_total(connection, query, most)

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        template = self._repository.series_begun(None, resource)
        if template is not None:
            return await self._create_series(connection, context, resource, template, id_)
        if _is_hold(context, resource):
            stored, until = await self._handlers.holding.begin(connection, context, resource, id_)
            context.effects.headers["Expires"] = http_date(until)
            return stored
        return self._until(context, await self._handlers.create(connection, context, resource, id_))

    async def _create_series(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        template: Resource,
        id_: str | None,
    ) -> Stored:
        """Takes the whole series or nothing. Returns its first appointment; the others go to `context.effects.besides`."""
        first = Wanted(without_series(resource), BY_TEMPLATE)
        wanted = await self._series.expand(connection, context, first, template)
        hold = _is_hold(context, resource)
        taken = await self._series.take(connection, context, wanted, template, hold=hold, first_id=id_)
        context.effects.besides.extend(taken.stored[1:])
        if taken.until is not None:
            context.effects.headers["Expires"] = http_date(taken.until)
        return self._until(context, taken.stored[0])

    def _until(self, context: WriteContext, stored: Stored) -> Stored:
        """Adds `Expires` to the answer if the appointment waits for its practice."""
        if stored.id in context.effects.undecided:
            until = self._repository.stored_facts(stored).held_until
            assert until is not None
            context.effects.headers["Expires"] = http_date(until)
        return stored

    async def replace(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Stored:
        if current.deleted:
            return self._until(context, await self._restore(connection, context, current, resource))
        if context.patient_ids is not None and current.content is not None:
            resource = with_unseen(context.patient_ids, resource, loads(current.content))
        scope, resource = scope_of(resource)
        if scope is not None and scope != "this":
            if resource["status"] != "cancelled":
                raise ScopeUnfit(scope, "neither")
            changed = await self._series.cancel(connection, context, current, resource, scope)
            context.effects.besides.extend(stored for stored in changed if stored.id != current.id)
            return next(stored for stored in changed if stored.id == current.id)
        before = self._repository.stored_facts(current)
        resource = await self._meant(connection, context, current, resource)
        if _is_hold(context, resource) and not claims(before.status):
            stored, until = await self._handlers.holding.hold_on(connection, context, current, resource)
            context.effects.headers["Expires"] = http_date(until)
            return stored
        how = Manner(by_itself=scope == "this")
        return self._until(context, await self._handlers.change(connection, context, current, resource, how))

    async def _restore(
        self, connection: Connection, context: WriteContext, deleted: Stored, resource: Resource
    ) -> Stored:
        template = self._repository.series_begun(None, resource)
        if template is None:
            return await self._handlers.restore(connection, context, deleted, resource)
        return await self._series.book(connection, context, deleted, resource, template, PLAINLY)

    async def completed(self, connection: Connection, patched: Resource) -> Resource:
        """Adds the start and end of the slots to a request that a patch gives slots (Oracle: status and slot together)."""
        return await with_time_of_slots(connection, patched)

    async def rebased(
        self, connection: Connection, current: Stored, version: int, resource: Resource | None
    ) -> Resource | None:
        """See `MovesByItself`: AppointmentResponses change their appointment."""
        read = await self._store.read_version(connection, current.id, version)
        if read is None or read.content is None or current.content is None:
            return None
        before, now = loads(read.content), loads(current.content)
        if not appointment_moved_by_itself(before, now):
            return None
        return onto(resource, before, now) if resource else {}

    async def _meant(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Resource:
        """Returns what a scheduler means that writes a version older than the answers: it is rebased by its `versionId`;
        without one, `pending` over a booking that answers made stays `booked`."""
        if context.by_patient:
            return resource
        said = str(resource.get("meta", {}).get("versionId", ""))
        if said.isdigit() and int(said) < current.version:
            rebased = await self.rebased(connection, current, int(said), resource)
            return resource if rebased is None else rebased
        before, after = (
            self._repository.stored_facts(current),
            self._repository.next(current, resource),
        )
        unsaid = not said and not is_moved(before, after)
        return {**resource, "status": "booked"} if unsaid and is_on_its_way(before, after) else resource

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        return await self._handlers.remove(connection, context, current)


def _is_hold(context: WriteContext, resource: Resource) -> bool:
    """Whether the write is a hold: a patient's `pending`, with an end and a quota. A practice's `pending` has no end."""
    return context.by_patient and resource["status"] == "pending"
