"""Schedules as they are written: beside what the directory says of their actors."""

from __future__ import annotations

from creneau_booking.storage.agenda_rules import schedule_changed
from creneau_booking.storage.ownership import schedule_belonging, write_beside_the_directory
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Stored


class ScheduleStore(GenericStore):
    """The generic store of Schedules, with what they bring about."""

    def __init__(self, base_url: str) -> None:
        super().__init__("Schedule", base_url, schedule_changed, schedule_belonging)

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        """Before the row the lock of those who write agendas: whoever hears the directory takes them in this order."""
        await write_beside_the_directory(connection)
        return await super().lock(connection, id_)
