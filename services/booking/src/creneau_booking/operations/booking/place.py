"""Where and when a call puts an appointment that is stored: `$reschedule`, and `$book` of a known id (ISiK).

| the call gives | the slots are |
|---|---|
| slots: `slot`, or those of the Appointment that it sends, named in any way that a create understands | those |
| a start, with `schedule` | those of these agendas at that time |
| a start alone | those of the appointment's own agendas at that time |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.times import later, require_sensible
from creneau_booking.operations.booking.desk import Session, checked
from creneau_booking.operations.references import id_of
from creneau_booking.storage.agendas.slots_of_agendas import NOTHING_WANTED, schedules_of, slots_between
from creneau_booking.storage.mapping.appointment import slot_ids
from creneau_booking.storage.visits.named_slots import with_known_slots
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import exact_instant, parse_interval
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource


async def placed(
    session: Session, given: OperationInput, stored: Resource, before: Appointment, sent: Resource
) -> Resource | None:
    """Returns the stored appointment in the slots that the call gives, or at its start with its present length or until its
    end; None if the call gives neither.

    `sent`: the Appointment that the call sends, as it is to be, or parts of it. What the new slot says of the visit
    (SAID_BY_SLOT) holds: a move from a surgery to a video slot changes it. Without a stated time there is none in the result.
    Raises BadRequest for a time that is no FHIR date, SlotsUnclear, NoSlotThen, and what `require_sensible` raises.
    """
    period = _period(given, sent, before)
    slots = [id_of(reference) for reference in given.references("slot")]
    slots = slots or await _slots_sent(session, stored, sent)
    if period is None and not slots:
        return None
    moved = {name: value for name, value in stored.items() if name not in ("start", "end")}
    if period is not None:
        moved |= {"start": exact_instant(period[0]), "end": exact_instant(period[1])}
        slots = slots or await slots_at(session, given, period, like=before.slots)
    if not slots:
        return moved
    return {**moved, **await _said_by(session, slots[0]), "slot": references_to(slots)}


async def slots_at(
    session: Session,
    given: OperationInput,
    period: tuple[datetime, datetime],
    *,
    like: Sequence[str] = (),
    wanted: Mapping[str, Collection[str]] = NOTHING_WANTED,
) -> list[str]:
    """Returns the slots (ids) that make up a period in the agendas that the call names (`schedule`), else in those of the
    slots `like` (ids); preferred as `slots_between` prefers. Raises NoSlotThen if an agenda has none."""
    agendas = [id_of(reference) for reference in given.references("schedule")]
    if not agendas:
        own = await schedules_of(session.connection, like)
        agendas = [agenda.removeprefix("Schedule/") for agenda in own]
    found: list[str] = []
    for agenda in agendas:
        found += await slots_between(session.connection, agenda, *period, like=like, wanted=wanted)
    return found


def references_to(slots: Sequence[str]) -> list[Resource]:
    """Returns these slots (ids) as `Appointment.slot`."""
    return [{"reference": f"Slot/{id_}"} for id_ in slots]


async def _slots_sent(session: Session, stored: Resource, sent: Resource) -> list[str]:
    """Returns the slots (ids) that a sent Appointment names. It is checked together with the stored one, since it may be a
    part."""
    if not sent.get("slot"):
        return []
    base_url = session.desk.repository.base_url
    whole = checked({**stored, **sent})
    named = await with_known_slots(session.connection, session.context, whole, base_url)
    return list(slot_ids(named, base_url))


async def _said_by(session: Session, slot_id: str) -> Resource:
    stored = await session.desk.slots.read(session.connection, slot_id)
    slot = loads(stored.content) if stored is not None and stored.content is not None else {}
    return {name: slot[name] for name in SAID_BY_SLOT if name in slot}


def _period(given: OperationInput, sent: Resource, before: Appointment) -> tuple[datetime, datetime] | None:
    """Returns the period from `start` to `end`, or with the appointment's present length. Returns None if neither the call
    nor the Appointment that it sends has a start, or if nothing tells the length."""
    start, end = (_moment(given, sent, name) for name in ("start", "end"))
    if start is None:
        return None
    if end is None:
        if before.start is None or before.end is None:
            return None
        end = later(start, before.end - before.start)
    require_sensible("Appointment", start, end)
    return start, end


def _moment(given: OperationInput, sent: Resource, name: str) -> datetime | None:
    said = sent.get(name) if (told := given.first(name)) is None else told
    if said is None:
        return None
    try:
        return parse_interval(str(said), PARIS)[0]
    except ValueError as error:
        raise BadRequest(
            f"« {name} » n'est pas une date FHIR : {said}.",
            f"“{name}” is not a FHIR date: {said}.",
            code="value",
            expression=parameter_named(name),
        ) from error
