"""AppointmentResponse: a patient answers for themselves only, and the answer is at once their participant's status.

Software's responses are kept as they are: a practice answers in the appointment itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain.refusals import AppointmentUnknown
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.statements import response_belonging
from creneau_booking.storage.appointment_mapper import relative
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext


class ResponseStore(GenericStore):
    """The generic store of AppointmentResponse, with the effect of a patient's answer."""

    def __init__(self, base_url: str, handlers: AppointmentHandlers) -> None:
        super().__init__("AppointmentResponse", base_url, belonging=response_belonging)
        self._base = base_url
        self._handlers = handlers

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        belonging: Sequence[str] | None = None,
    ) -> Stored:
        await self._answer(connection, context, resource)
        return await super().create(connection, context, resource, id_, belonging=belonging)

    async def replace(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        belonging: Sequence[str] | None = None,
        keeping: bool = False,
    ) -> Stored:
        await self._answer(connection, context, resource)
        return await super().replace(
            connection, context, current, resource, belonging=belonging, keeping=keeping
        )

    async def _answer(self, connection: Connection, context: WriteContext, resource: Resource) -> None:
        if context.patient_ids is None:
            return
        appointment = self._reference(resource, "appointment")
        if appointment is None or not appointment.startswith("Appointment/"):
            raise AppointmentUnknown()
        id_, actor = appointment.removeprefix("Appointment/"), self._reference(resource, "actor")
        await self._handlers.answer(connection, context, id_, actor, resource["participantStatus"])

    def _reference(self, resource: Resource, name: str) -> str | None:
        reference = resource.get(name, {}).get("reference")
        return relative(reference, self._base) if reference else None
