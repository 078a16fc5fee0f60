"""AppointmentResponse: a participant's answer takes effect on the appointment at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.domain.answers import OPEN
from creneau_booking.domain.refusals.answers import AnswererUnknown
from creneau_booking.domain.refusals.registered import AppointmentUnknown
from creneau_booking.handlers.answers import Answering, Given
from creneau_booking.handlers.statements import response_belonging
from creneau_booking.storage.mapping.appointment import relative
from creneau_booking.storage.people.named_people import with_known_answerer
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.ids import new_id

ANSWERED = ("appointment", "actor", "participantStatus", "start", "end")
"""The elements of a response that make up the answer"""


class ResponseStore(GenericStore):
    """The generic store of AppointmentResponse, with the effect of each answer."""

    def __init__(self, base_url: str, answers: Answering) -> None:
        super().__init__("AppointmentResponse", base_url, belonging=response_belonging)
        self._base = base_url
        self._answers = answers

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        belonging: Sequence[str] | None = None,
    ) -> Stored:
        id_ = id_ or new_id()
        resource = await with_known_answerer(connection, context, resource, self._base)
        _require_known(resource)
        await self._answer(connection, context, resource, id_)
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
        said_before = loads(current.content) if current.content is not None else {}
        resource = await with_known_answerer(connection, context, resource, self._base)
        if any(said_before.get(name) != resource.get(name) for name in ANSWERED):
            _require_known(resource)
            await self._answer(connection, context, resource, current.id)
        return await super().replace(
            connection, context, current, resource, belonging=belonging, keeping=keeping
        )

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Takes the answer back (`needs-action`) if the appointment is still open; else only deletes the response."""
        if current.content is not None:
            said = loads(current.content)
            if said["participantStatus"] != "needs-action" and await self._is_open(connection, said):
                rest = {name: value for name, value in said.items() if name not in ("start", "end")}
                await self._answer(
                    connection, context, {**rest, "participantStatus": "needs-action"}, current.id
                )
        return await super().delete(connection, context, current)

    async def _is_open(self, connection: Connection, said: Resource) -> bool:
        id_ = (self._reference(said, "appointment") or "").removeprefix("Appointment/")
        open_ones = [f"status={status}" for status in sorted(OPEN)]
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM appointment WHERE id = $1 AND NOT deleted AND terms && $2)",
                id_,
                open_ones,
            )
        )

    async def _answer(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str
    ) -> None:
        if (
            not context.by_patient
        ):  # refuses an appointment or patient unknown to the practice before any other fault
            await response_belonging(connection, context, resource, None)
        appointment = self._reference(resource, "appointment")
        if appointment is None or not appointment.startswith("Appointment/"):
            raise AppointmentUnknown()
        given = Given(
            appointment.removeprefix("Appointment/"),
            id_,
            self._reference(resource, "actor"),
            resource["participantStatus"],
            _instant(resource.get("start")),
            _instant(resource.get("end")),
            says_more=_says_more(resource),
        )
        await self._answers.hear(connection, context, given)

    def _reference(self, resource: Resource, name: str) -> str | None:
        reference = resource.get(name, {}).get("reference")
        return relative(reference, self._base) if reference else None


def _require_known(response: Resource) -> None:
    """Raises AnswererUnknown if the answer is for somebody named who is not known here. An answer that names only a kind of
    participant is for nobody, and changes nothing."""
    actor = response.get("actor", {})
    if actor and not actor.get("reference"):
        raise AnswererUnknown(str(actor.get("display") or actor.get("identifier", {}).get("value", "")))


def _says_more(resource: Resource) -> bool:
    """Whether the response says more than the answer: another element, or a text beside a reference."""
    references = [resource.get(name, {}) for name in ("appointment", "actor")]
    return not (
        resource.keys() <= {"resourceType", *ANSWERED} and all(r.keys() <= {"reference"} for r in references)
    )


def _instant(text: str | None) -> datetime | None:
    return instant_of(text) if text else None
