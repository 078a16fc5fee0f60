"""The Schedule type: an agenda with visits to come is not deleted."""

from __future__ import annotations

from creneau_booking.domain.refusals import require_no_visits
from creneau_booking.storage.agenda_rules import schedule_changed
from creneau_booking.storage.availability.actors import stop_taking
from creneau_booking.storage.availability.agendas import beside_others
from creneau_booking.storage.ownership import schedule_belonging
from creneau_booking.storage.upcoming import visits_in
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Stored, WriteContext


class ScheduleStore(GenericStore):
    """The generic store of Schedules, with what availability knows of them, and whose they are."""

    def __init__(self, base_url: str) -> None:
        super().__init__("Schedule", base_url, schedule_changed, schedule_belonging)

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        """Before the row the lock of those who write agendas: whoever hears the directory takes them in this order."""
        await beside_others(connection)
        return await super().lock(connection, id_)

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Conflict while there are visits to come in it, those that are being booked at this moment among them."""
        await stop_taking(connection, schedule=current.id, now=context.now)
        require_no_visits("Schedule", current.id, await visits_in(connection, current.id, context.now))
        return await super().delete(connection, context, current)
