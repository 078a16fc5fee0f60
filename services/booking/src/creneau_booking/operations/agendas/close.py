"""`Schedule/$close`: closes a time of an agenda at once, and moves or cancels the appointments in it.

Without confirmation the answer lists the appointments, each with the agenda's nearest free time, and nothing changes. With
it one transaction closes the time. Then each appointment is moved or cancelled in its own transaction, so that one that
cannot be moved does not stop the others. The same call sent again goes on where it broke off. `reopen` undoes a closure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.domain.openings.refusals import ClosureTooLong, ClosureUnclear
from creneau_booking.handlers.closing import Closure, ClosureHandlers
from creneau_booking.operations.booking.desk import Desk
from creneau_booking.operations.moments import ENDS, STARTS, window_of
from creneau_booking.operations.references import id_of, with_literal
from creneau_booking.storage.agendas.rules import rules_of_schedules
from creneau_booking.storage.openings.closing import (
    FreeTime,
    Hit,
    agendas_of_appointment,
    appointments_hit,
    nearest_free,
    still_hit,
)
from creneau_booking.storage.openings.closures import close, reopen
from creneau_booking.storage.openings.made_slots import OpeningStore
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, CreneauError, Issue
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.rest.writing import write_context
from creneau_shared.fhir.storage.store import Resource, Stored

REASON_LENGTH_MAX = 500
TRIES_MAX = 3
"""Free times that are tried for one appointment, because others may take one first"""

DEFINITION = operation_definition(
    "close",
    "Close a time of an agenda",
    "Closes a time of an agenda, for an absence. Without confirm=true: tells which appointments it hits, and to where each"
    " could be moved. With it: closes, and moves or cancels them; those concerned are told.",
    [
        parameter("schedule", "Reference"),
        parameter("period", "Period"),
        parameter("start", "dateTime", documentation="Also from."),
        parameter("end", "dateTime", documentation="Also to."),
        parameter("reason", "string"),
        parameter("action", "code"),
        parameter("confirm", "boolean"),
        parameter("dry-run", "boolean"),
        parameter("confirmed", "boolean", use="out", minimum=1),
        parameter("blocked", "integer", use="out"),
        parameter("total", "integer", use="out", minimum=1),
        parameter(
            "appointment",
            None,
            use="out",
            maximum="*",
            part=[
                parameter("reference", "Reference", use="out", minimum=1),
                parameter("start", "instant", use="out", minimum=1),
                parameter("slot", "Reference", use="out"),
                parameter("new-start", "instant", use="out"),
                parameter("outcome", "code", use="out"),
                parameter("issue", "OperationOutcome", use="out"),
            ],
        ),
    ],
    affects_state=True,
    instance=True,
    resources=["Schedule"],
)


@dataclass(frozen=True, slots=True)
class _Done:
    """What happened, or would happen, to one appointment."""

    hit: Hit
    to: FreeTime | None = None
    outcome: str | None = None
    issues: tuple[Issue, ...] = ()


class CloseOperation:
    """`$close` on an instance, and on the type with the Schedule's reference; for practices."""

    def __init__(
        self,
        desk: Desk,
        schedules: ScheduleStore,
        openings: OpeningStore,
        *,
        appointments_max: int,
        days_max: int,
    ) -> None:
        self._desk = desk
        self._schedules = schedules
        self._openings = openings
        self._closing = ClosureHandlers(desk.repository, desk.handlers, desk.slots)
        self._appointments_max = appointments_max
        self._days_max = days_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, at_once=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, also=(*STARTS, *ENDS, "mode", "dryRun", "confirmed"))
        action = str(given.first("action", "mode") or "move")
        if action not in ("move", "cancel", "reopen"):
            raise _unknown_action(action)
        rehearsal = given.flag("dry-run", "dryRun")
        confirmed = given.flag("confirm", "confirmed") is True and not rehearsal
        with call.service.in_words():
            closure, blocked, done, total = await self._begin(call, given, action, confirmed=confirmed)
        if confirmed:
            done = [await self._carry_out(call, closure, one.hit, action) for one in done]
        return Answer(200, dumps(_told(call, confirmed, blocked, done, total)))

    async def _begin(
        self, call: OperationCall, given: OperationInput, action: str, *, confirmed: bool
    ) -> tuple[Closure, int, list[_Done], int]:
        """Closes the time if `confirmed`, and looks up the appointments in it."""
        now = call.request.now
        access = call.request.access("Schedule", "u")
        async with call.service.transaction() as connection:
            given = await with_literal(connection, call.request, given, ("schedule",))
            id_ = call.id or next((id_of(r) for r in given.references("schedule")), "")
            current = await read_current(connection, self._schedules, access, id_, lock=confirmed)
            known = (await rules_of_schedules(connection, [id_])).get(id_)
            closure = Closure(id_, self._period(given, now, known.zone if known else PARIS), _reason(given))
            if action == "reopen":
                await self._reopen(call, connection, current, closure, confirmed=confirmed)
                return closure, 0, [], 0
            blocked = 0
            if confirmed:
                context = write_context(call.request, access)
                by = f"{context.issuer} {context.subject}".strip()
                blocked = await close(connection, id_, closure.period, closure.reason, now, by)
                await call.service.audit(connection, call.request, "E", current)
            hits, total = await appointments_hit(connection, id_, closure.period, now, self._appointments_max)
            done: list[_Done] = []
            for hit in hits:
                given_away = [one.to.slot for one in done if one.to is not None]
                if confirmed or action == "cancel":
                    done.append(_Done(hit))
                elif hit.held:
                    done.append(_Done(hit, None, "cancelled"))
                else:
                    done.append(_Done(hit, await self._free_time(connection, closure, hit, now, given_away)))
        return closure, blocked, done, total

    async def _reopen(
        self,
        call: OperationCall,
        connection: Connection,
        current: Stored,
        closure: Closure,
        *,
        confirmed: bool,
    ) -> None:
        """Undoes the closure if `confirmed`: the openings that the Schedule states hold again in that time."""
        if not confirmed or current.content is None:
            return
        await reopen(connection, closure.schedule, closure.period, call.request.now)
        await self._openings.stated(connection, closure.schedule, loads(current.content), call.request.now)
        await call.service.audit(connection, call.request, "E", current)

    def _period(self, given: OperationInput, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
        start, end = window_of(given, zone)
        if start is None or end is None or end <= start or end <= now:
            raise ClosureUnclear()
        if end - start > timedelta(days=self._days_max + 1):
            raise ClosureTooLong(self._days_max)
        return start, end

    async def _carry_out(self, call: OperationCall, closure: Closure, hit: Hit, action: str) -> _Done:
        """Moves or cancels one appointment. Tries another free time only after a free time was refused; after any other
        refusal it leaves the appointment and tells why."""
        tried: list[str] = []
        while True:
            before = len(tried)
            try:
                with call.service.in_words():
                    async with call.service.transaction() as connection:
                        return await self._settle(call, connection, closure, hit, action, tried)
            except CreneauError as error:
                if len(tried) in (before, TRIES_MAX):
                    return _Done(hit, None, "left", tuple(error.issues))

    async def _settle(
        self,
        call: OperationCall,
        connection: Connection,
        closure: Closure,
        hit: Hit,
        action: str,
        tried: list[str],
    ) -> _Done:
        """Tries once, in one transaction, and adds the free time to `tried` (slots that were tried before). Leaves alone an
        appointment that has left the closed time meanwhile."""
        access = call.request.access("Appointment", "u")
        current = await read_current(connection, self._desk.store, access, hit.id, lock=True)
        before = self._desk.repository.stored_facts(current)
        context = write_context(call.request, access)
        now_hit = await still_hit(connection, closure.schedule, closure.period, context.now, hit.id)
        if now_hit is None or before.status not in ("booked", "pending"):
            return _Done(hit, None, "left")
        hit, to = now_hit, None
        if action == "cancel" or before.held_until is not None:
            stored = await self._closing.cancel(connection, context, current, closure.reason)
        else:
            to = await self._free_time(connection, closure, hit, context.now, tried)
            if to is None:
                return _Done(hit, None, "left", (_no_free_time(),))
            tried.append(to.slot)
            stored = await self._closing.move(connection, context, current, to, closure.reason)
        await call.service.audit(connection, call.request, "U", stored)
        return _Done(hit, to, "cancelled" if to is None else "moved")

    async def _free_time(
        self, connection: Connection, closure: Closure, hit: Hit, now: datetime, besides: Sequence[str]
    ) -> FreeTime | None:
        """Returns the nearest free time. Returns None for an appointment in several agendas: somebody has to look at it."""
        if len(await agendas_of_appointment(connection, hit.id)) > 1:
            return None
        return await nearest_free(connection, closure.schedule, hit, closure.period, now, besides)


def _reason(given: OperationInput) -> str | None:
    """Returns the reason as text, from a string, a CodeableConcept or a Coding."""
    reason = given.first("reason")
    if isinstance(reason, dict):
        coding = next(iter(reason.get("coding", ())), reason)
        reason = reason.get("text") or coding.get("display") or coding.get("code")
    return str(reason).strip()[:REASON_LENGTH_MAX] or None if reason is not None else None


def _told(call: OperationCall, confirmed: bool, blocked: int, done: list[_Done], total: int) -> Resource:
    parts: list[Resource] = [{"name": "confirmed", "valueBoolean": confirmed}]
    if confirmed:
        parts.append({"name": "blocked", "valueInteger": blocked})
    parts.append({"name": "total", "valueInteger": total})
    parts += [{"name": "appointment", "part": _part(call, one)} for one in done]
    return {"resourceType": "Parameters", "parameter": parts}


def _part(call: OperationCall, one: _Done) -> list[Resource]:
    part: list[Resource] = [
        {"name": "reference", "valueReference": {"reference": f"Appointment/{one.hit.id}"}},
        {"name": "start", "valueInstant": exact_instant(one.hit.start)},
    ]
    if one.to is not None:
        part.append({"name": "slot", "valueReference": {"reference": f"Slot/{one.to.slot}"}})
        part.append({"name": "new-start", "valueInstant": exact_instant(one.to.start)})
    if one.outcome is not None:
        part.append({"name": "outcome", "valueCode": one.outcome})
    if one.issues:
        part.append({"name": "issue", "resource": operation_outcome(one.issues, call.request.language)})
    return part


def _no_free_time() -> Issue:
    return Issue(
        "not-found",
        "Aucun créneau libre de cet agenda ne convient à ce rendez-vous : déplacez-le ou annulez-le vous-même.",
        "No free slot of this agenda suits this appointment: move or cancel it yourself.",
        ("Appointment.slot",),
        details_code="no-free-time",
    )


def _unknown_action(action: str) -> BadRequest:
    return BadRequest(
        f"« {action} » n'est pas une suite possible : move (déplacer), cancel (annuler) ou reopen (rouvrir).",
        f"“{action}” is nothing that can be done: move, cancel or reopen.",
        code="value",
        expression=parameter_named("action"),
    )
