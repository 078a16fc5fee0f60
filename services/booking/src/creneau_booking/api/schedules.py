"""The Schedule type: an agenda with visits to come is not deleted."""

from __future__ import annotations

from creneau_booking.domain.refusals import require_no_visits
from creneau_booking.storage.agenda_rules import schedule_changed
from creneau_booking.storage.ownership import schedule_belonging
from creneau_booking.storage.upcoming import visits_in
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Stored, WriteContext


class ScheduleStore(GenericStore):
    """The generic store of Schedules, with what availability knows of them, and whose they are."""

    def __init__(self, base_url: str) -> None:
        super().__init__("Schedule", base_url, schedule_changed, schedule_belonging)

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Conflict while there are visits to come in it."""
        require_no_visits("Schedule", current.id, await visits_in(connection, current.id, context.now))
        return await super().delete(connection, context, current)
