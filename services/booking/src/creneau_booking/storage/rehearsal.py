"""The rehearsal's agenda, patient and slots, and what keeps them out of every search (`domain.rehearsal`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from creneau_booking.domain.rehearsal import DEVICE, ORGANIZATION, PATIENT, SCHEDULE
from creneau_booking.storage.agendas.rules import schedule_changed
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import give_back
from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.storage.slots.store import SlotStore
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.retention import remove_appointments
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import Resource, WriteContext

SLOT_LENGTH = timedelta(minutes=10)
FORGOTTEN_MAX = 200
"""appointments that are forgotten at once"""
TEST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
"""How FHIR marks what is no real health data (security-label-examples)."""
_FOR_ITS_OWNER = {"system": SLOT_TYPE_SYSTEM, "code": "PRO"}

_OURS = f"""
SELECT id FROM appointment WHERE terms @> ARRAY['patient=Patient/{PATIENT}'] AND last_updated < $1
ORDER BY last_updated LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_STARTS = f"SELECT start FROM slot WHERE schedule_key = (SELECT key FROM schedule WHERE id = '{SCHEDULE}') AND start > $1"
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('rehearsal', 0))"


class Rehearsal:
    """Keeps the agenda ready, in one worker at a time."""

    def __init__(self, repository: AppointmentRepository, hours_ahead: int) -> None:
        base = repository.base_url
        self._repository = repository
        self._hours_ahead = hours_ahead
        self._slots = SlotStore(base)
        self._schedules = GenericStore("Schedule", base, schedule_changed)
        self._patients = GenericStore("Patient", base)

    async def keep(self, connection: Connection, now: datetime, *, forget_before: datetime) -> int:
        """Ensures that there are an agenda, a patient and a free slot each hour. Forgets appointments that have not changed
        since `forget_before`; returns how many."""
        if not self._hours_ahead or not await connection.fetchval(_ALONE):
            return 0
        context = WriteContext(now=now, by_service=True)
        forgotten = await self._forget(connection, now, forget_before)
        await self._keep_resource(connection, context, self._schedules, _schedule())
        await self._keep_resource(connection, context, self._patients, _patient())
        first = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        there = {row["start"] for row in await connection.fetch(_STARTS, now)}
        for hour in range(self._hours_ahead):
            start = first + timedelta(hours=hour)
            if start not in there:
                slot = _slot(start)
                await self._slots.create(connection, context, slot, slot["id"])
        return forgotten

    async def _keep_resource(
        self, connection: Connection, context: WriteContext, store: GenericStore, resource: Resource
    ) -> None:
        """Creates what is missing, past the API's stores: no caller may write these, and nobody is told of them."""
        if await store.read(connection, resource["id"]) is None:
            owners = owned_by([ORGANIZATION])
            await store.create(connection, context, resource, resource["id"], belonging=owners)

    async def _forget(self, connection: Connection, now: datetime, before: datetime) -> int:
        """Gives back what a rehearsal that broke off still takes, and removes its appointments."""
        rows = await connection.fetch(_OURS, before, FORGOTTEN_MAX)
        for row in rows:
            stored = await self._repository.store.read(connection, row["id"])
            if stored is not None and stored.content is not None:
                await wait_for_turn(connection, row["id"])
                await give_back(connection, row["id"], self._repository.stored_facts(stored).slots, now)
        return await remove_appointments(connection, [row["id"] for row in rows])


def _schedule() -> Resource:
    return {
        "resourceType": "Schedule",
        "id": SCHEDULE,
        "meta": {"security": [TEST]},
        "active": True,
        "actor": [{"reference": f"Device/{DEVICE}"}],
    }


def _patient() -> Resource:
    return {"resourceType": "Patient", "id": PATIENT, "meta": {"security": [TEST]}, "active": True}


def _slot(start: datetime) -> Resource:
    return {
        "resourceType": "Slot",
        "id": str(uuid5(NAMESPACE_URL, f"{SCHEDULE}/{start.isoformat()}")),
        "meta": {"security": [TEST, _FOR_ITS_OWNER]},
        "schedule": {"reference": f"Schedule/{SCHEDULE}"},
        "status": "free",
        "start": start.isoformat(),
        "end": (start + SLOT_LENGTH).isoformat(),
    }
