"""`Schedule/[id]/$sync-slots`: software sends the slots of an agenda that it owns, up to 10,000 at once."""

from __future__ import annotations

from typing import Any

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.domain.synchronising import Contradiction, Difference, Reason
from creneau_booking.operations.agendas.slot_feed import read_feed
from creneau_booking.storage.agendas.joint import zones_of
from creneau_booking.storage.slots.sync import lock_agenda, own_agenda, synchronise
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.reading import unknown_resource
from creneau_shared.fhir.rest.writing import write_context
from creneau_shared.fhir.storage.store import Resource, WriteContext

TYPE = "Schedule"
CONFLICTS_TOLD_MAX = 500
"""Conflicts that are told one by one; all are counted"""

DEFINITION = operation_definition(
    "sync-slots",
    "Synchronise the slots of an agenda",
    "The body is NDJSON (application/fhir+ndjson) of Slots, a Bundle, or Parameters with slots. With from and to (of"
    " the address, or of the Parameters) it is the whole truth of the slots that start within this half-open period:"
    " what is the same stays as it is, with its id and version; what differs is updated; what is new is created; what"
    " is missing is deleted. Slots are matched by id, else by identifier, else by start, end and kind. Without from"
    " and to nothing is deleted. A Bundle that is a page of a longer list, and a parameter that is not known, are"
    " refused. What is booked or held here is never moved nor removed, and answered as a conflict. All of it is done,"
    " or nothing.",
    [
        parameter(
            "from",
            "dateTime",
            documentation="First moment of the period; also start. Days are those of the place.",
        ),
        parameter(
            "to",
            "dateTime",
            documentation="End of the period, excluded; a date includes its day. Also end.",
        ),
        parameter("period", "Period", documentation="Both, in one."),
        parameter("slot", "Slot", maximum="*", documentation="In a Parameters: slots, or Bundles of them."),
        parameter("created", "integer", use="out", minimum=1),
        parameter("updated", "integer", use="out", minimum=1),
        parameter("deleted", "integer", use="out", minimum=1),
        parameter("unchanged", "integer", use="out", minimum=1),
        parameter("conflicts", "integer", use="out", minimum=1),
        parameter("synchronised-at", "instant", use="out", minimum=1),
        parameter(
            "conflict",
            None,
            use="out",
            maximum="*",
            part=[
                parameter("slot", "Reference", use="out", minimum=1),
                parameter("appointment", "Reference", use="out", minimum=1),
                parameter(
                    "reason",
                    "code",
                    use="out",
                    minimum=1,
                    documentation="missing, moved or said-free.",
                ),
                parameter("start", "instant", use="out", minimum=1),
                parameter("end", "instant", use="out", minimum=1),
            ],
        ),
        parameter(
            "outcome",
            "OperationOutcome",
            use="out",
            documentation="The conflicts again, in words: warnings.",
        ),
    ],
    affects_state=True,
    type_level=False,
    instance=True,
    resources=[TYPE],
)

_REASONS: dict[Reason, tuple[str, str]] = {
    "missing": ("il manque dans l'envoi", "it is missing from what was sent"),
    "moved": ("l'envoi le donne à une autre heure", "what was sent has it at another time"),
    "said-free": ("l'envoi le dit libre", "what was sent says that it is free"),
}


class SyncSlotsOperation:
    """`$sync-slots` on a Schedule."""

    def __init__(self, schedules: ScheduleStore, slots_max: int) -> None:
        self._schedules = schedules
        self._slots_max = slots_max

    def declare(self) -> Operation:
        # `secret`: runs at once, whatever Prefer says. Thousands of slots are not recorded to be read again later.
        return Operation(DEFINITION, self.handle, secret=True, more_media=("application/fhir+ndjson",))

    async def handle(self, call: OperationCall) -> Answer:
        assert call.id is not None
        request, service = call.request, call.service
        access = request.access("Slot", "u")
        request.access("Slot", "c")
        context = write_context(request, access)
        with service.in_words():
            # The owner is checked first: thousands of slots are not read for strangers.
            async with service.connection() as connection:
                await self._own(connection, context, call.id)
                zone = (await zones_of(connection, [call.id])).get(call.id, PARIS)
            feed = await read_feed(request, call.id, zone, service.base_url, service.bounds, self._slots_max)
            async with service.transaction() as connection:
                agenda = await self._own(connection, context, call.id)
                await self._schedules.synchronised(connection, context, call.id)
                await lock_agenda(connection, context, agenda)
                found = await synchronise(connection, context, call.id, agenda, feed.slots, feed.window)
        return Answer(200, dumps(_told(found, exact_instant(request.now), request.language)))

    @staticmethod
    async def _own(connection: Connection, context: WriteContext, id_: str) -> int:
        """Returns the agenda's key. Raises NotFound, or Forbidden if it is another practice's."""
        agenda = await own_agenda(connection, context, id_)
        if agenda is None:
            raise unknown_resource(TYPE, id_)
        return agenda


def _told(found: Difference, now: str, language: Language) -> Resource:
    counts = {
        "created": len(found.created),
        "updated": len(found.updated),
        "deleted": len(found.deleted),
        "unchanged": found.unchanged,
        "conflicts": len(found.conflicts),
    }
    parts: list[dict[str, Any]] = [{"name": name, "valueInteger": n} for name, n in counts.items()]
    parts.append({"name": "synchronised-at", "valueInstant": now})
    told = found.conflicts[:CONFLICTS_TOLD_MAX]
    parts += [_conflict(conflict) for conflict in told]
    if told:
        outcome = operation_outcome([_issue(conflict) for conflict in told], language)
        parts.append({"name": "outcome", "resource": outcome})
    return {"resourceType": "Parameters", "parameter": parts}


def _conflict(conflict: Contradiction) -> Resource:
    slot = conflict.slot
    return {
        "name": "conflict",
        "part": [
            {"name": "slot", "valueReference": {"reference": f"Slot/{slot.id}"}},
            {"name": "appointment", "valueReference": {"reference": f"Appointment/{slot.taken_by}"}},
            {"name": "reason", "valueCode": conflict.reason},
            {"name": "start", "valueInstant": exact_instant(slot.said.start)},
            {"name": "end", "valueInstant": exact_instant(slot.said.end)},
        ],
    }


def _issue(conflict: Contradiction) -> Issue:
    fr, en = _REASONS[conflict.reason]
    slot, appointment = f"Slot/{conflict.slot.id}", f"Appointment/{conflict.slot.taken_by}"
    return Issue(
        "conflict",
        f"{slot} est pris ici par {appointment} et le reste : {fr}. Annulez ou déplacez ce rendez-vous, ou reprenez-le dans"
        " l'agenda du logiciel.",
        f"{slot} is taken here by {appointment} and stays so: {en}. Cancel or move that appointment, or take it over into the"
        " software's agenda.",
        (slot,),
        "warning",
        "slot-claimed",
    )
