"""`Schedule/$preview-slots`: tells which slots a Schedule's rules would add and remove. Nothing is stored.

It uses the plan and the comparison of a PUT: a PUT of that Schedule has exactly this result, unless somebody books in
between.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.domain.openings.clock import utc
from creneau_booking.domain.openings.difference import There
from creneau_booking.domain.openings.rules import Wanted
from creneau_booking.operations.moments import window_of
from creneau_booking.operations.references import id_of, with_literal
from creneau_booking.storage.agendas.access_extensions import rules_of
from creneau_booking.storage.agendas.ownership import schedule_belonging
from creneau_booking.storage.openings.made_slots import OpeningStore, Plan
from creneau_booking.storage.people.named_people import with_known_actors
from creneau_booking.storage.slots.store import SlotStore
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.rest.writing import write_context
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.fhir.validation import check

DEFINITION = operation_definition(
    "preview-slots",
    "Preview an agenda's slots",
    "Tells which slots a Schedule would add and take away, and which appointments would lie outside its openings; stores"
    " nothing. Without a Schedule: what making the stored one's slots anew would bring about.",
    [
        parameter("schedule", "Schedule"),
        parameter("start", "dateTime"),
        parameter("end", "dateTime"),
        parameter("appear", "Slot", use="out", maximum="*"),
        parameter("appear-total", "integer", use="out", minimum=1),
        parameter("vanish", "Slot", use="out", maximum="*"),
        parameter("vanish-total", "integer", use="out", minimum=1),
        parameter("stay", "integer", use="out", minimum=1),
        parameter("outside", "Reference", use="out", maximum="*"),
        parameter("outside-total", "integer", use="out", minimum=1),
    ],
    affects_state=False,
    instance=True,
    resources=["Schedule"],
)


class PreviewSlotsOperation:
    """`$preview-slots` on the type and on an instance, for whoever may write the agenda."""

    def __init__(
        self, schedules: ScheduleStore, slots: SlotStore, openings: OpeningStore, listed_max: int
    ) -> None:
        self._schedules = schedules
        self._slots = slots
        self._openings = openings
        self._listed_max = listed_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, bare="schedule")
        window = window_of(given)
        with call.service.in_words():
            async with call.service.transaction() as connection:
                given = await with_literal(connection, call.request, given, ("schedule",))
                schedule, current = await self._schedule(connection, call, given)
                key, now = await self._key(connection, current), call.request.now
                plan = await self._openings.plan(connection, schedule, key, now, strict=True)
                answer = await self._told(connection, schedule, plan, key, window, now)
        return Answer(200, dumps(answer))

    async def _schedule(
        self, connection: Connection, call: OperationCall, given: OperationInput
    ) -> tuple[Resource, Stored | None]:
        """Returns the Schedule to preview and its stored version, if any. Refuses what a write would refuse."""
        sent = next((v for v in given.all("schedule", "resource") if _is_resource(v)), None)
        named = [id_of(r) for r in given.references("schedule") if not _is_resource(r)]
        id_ = call.id or next(iter(named), None) or (sent or {}).get("id")
        access = call.request.access("Schedule", "u")
        current = None
        if id_ and (call.id or named or await self._schedules.read(connection, id_) is not None):
            current = await read_current(connection, self._schedules, access, id_)
        if sent is None:
            if current is None or current.content is None:
                raise BadRequest(
                    "Donnez l'agenda à prévoir : une ressource Schedule.",
                    "Give the agenda to be previewed: a Schedule resource.",
                    code="required",
                    expression=parameter_named("schedule"),
                )
            return loads(current.content), current
        schedule = {**sent, "id": id_ or "new"}
        check(schedule, "Schedule")
        context = write_context(call.request, access)
        schedule = await with_known_actors(connection, context, schedule, self._schedules.base_url)
        await schedule_belonging(self._schedules.base_url, connection, context, schedule, current)
        rules_of(schedule)
        return schedule, current

    async def _key(self, connection: Connection, current: Stored | None) -> int | None:
        if current is None:
            return None
        key: int = await connection.fetchval("SELECT key FROM schedule WHERE id = $1", current.id)
        return key

    async def _told(
        self,
        connection: Connection,
        schedule: Resource,
        plan: Plan,
        key: int | None,
        window: tuple[datetime | None, datetime | None],
        now: datetime,
    ) -> Resource:
        change = await self._openings.compare(connection, plan, key, now)
        within = _within(window)
        appear = [slot for slot in change.appear if within(slot)]
        vanish = [slot for slot in change.vanish if within(slot)]
        listed = [slot.id for slot in vanish[: self._listed_max]]
        stored = await self._slots.read_many(connection, listed)
        outside = [f"Appointment/{id_}" for id_ in change.outside]
        parts: list[Resource] = [
            {"name": "appear-total", "valueInteger": len(appear)},
            {"name": "vanish-total", "valueInteger": len(vanish)},
            {"name": "stay", "valueInteger": change.stay},
            {"name": "outside-total", "valueInteger": len(outside)},
        ]
        parts += [
            {"name": "appear", "resource": self._slot(plan, schedule, slot)}
            for slot in appear[: self._listed_max]
        ]
        gone = [stored[id_].content for id_ in listed if id_ in stored]
        parts += [{"name": "vanish", "resource": loads(content)} for content in gone if content is not None]
        parts += [
            {"name": "outside", "valueReference": {"reference": reference}}
            for reference in outside[: self._listed_max]
        ]
        return {"resourceType": "Parameters", "parameter": parts}

    def _slot(self, plan: Plan, schedule: Resource, slot: Wanted) -> Resource:
        times = {"start": exact_instant(utc(slot.start)), "end": exact_instant(utc(slot.end))}
        return {**plan.stated.slot_of(slot.kind, schedule["id"]), "status": "free", **times}


def _within(
    window: tuple[datetime | None, datetime | None],
) -> Callable[[Wanted | There], bool]:
    """Returns a test whether a slot begins within the window."""
    since = window[0].timestamp() if window[0] else float("-inf")
    until = window[1].timestamp() if window[1] else float("inf")
    return lambda slot: since <= slot.start < until


def _is_resource(value: object) -> bool:
    return isinstance(value, dict) and value.get("resourceType") == "Schedule"
