"""The places, parts and adjacent slots of an agenda that a visit takes, in FHIR and in rows.

| said by | extension | stored |
|---|---|---|
| the agenda | schedule-capacity (positiveInt) | `agenda.capacity` |
| the slot | slot-capacity (positiveInt; SMART Scheduling Links: valueInteger) | `slot_kind.own_capacity` |
| the agenda | schedule-parts (boolean): whether patients take parts of its slots | `agenda.parts` |
| the agenda | schedule-adjacent-slots-max (positiveInt): most slots of a patient's visit | `agenda.adjacent_max` |
| the server, of a slot of several | slot-places-left (unsignedInt) | `slot.places`, once one is taken; 0 if it is not free |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from creneau_booking.domain.refusals.offering import RulesUnread, UnreadRule
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource

_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
SCHEDULE_CAPACITY = _OWN + "schedule-capacity"
"""positiveInt: how many patients have a place in each slot of the agenda"""
PARTS = _OWN + "schedule-parts"
"""boolean: whether patients take parts of the agenda's slots; absent: of slots too long for one visit"""
ADJACENT_MAX = _OWN + "schedule-adjacent-slots-max"
"""positiveInt: of how many adjacent slots, at most, a patient may make one visit"""
SLOT_CAPACITY = _OWN + "slot-capacity"
"""positiveInt: how many patients have a place in this slot"""
SMART_CAPACITY = "http://fhir-registry.smarthealthit.org/StructureDefinition/slot-capacity"
"""integer: the same in the words of SMART Scheduling Links"""
PLACES_LEFT = _OWN + "slot-places-left"
"""unsignedInt: how many places are left; only the server says so"""
CAPACITY_MAX = 1000
"""places that a slot can have; more is a mistake"""

GROUP = "Slot/"
"""prefix of a slot's id in the name of its group: those who have its places, and together take the time of its people"""
HOLDER = """CASE WHEN slot.places IS NOT NULL THEN (
  SELECT min(appointment_id) FROM slot_place WHERE slot_place.slot_id = slot.id) ELSE slot.taken_by END"""
"""SQL: the appointment that has a slot, or one of those that have places in it"""
_FORGOTTEN = f"""
DELETE FROM occupancy USING unnest($1::uuid[]) AS slot (id)
WHERE occupancy.appointment_id = '{GROUP}' || slot.id AND NOT EXISTS (SELECT FROM slot_place WHERE slot_id = slot.id)
"""
_EXTENSIONS = '"extension":['
_SHOWN_LEFT = re.compile(rb'(\{"url":"' + re.escape(PLACES_LEFT.encode()) + rb'","valueUnsignedInt":)\d+')
"""as `members_sql` writes it; within a string of JSON the quotes would be escaped"""


@dataclass(frozen=True, slots=True)
class SlotsSaid:
    """What a Schedule states about its slots; a field is None where it states nothing."""

    capacity: int | None = None
    parts: bool | None = None
    adjacent_max: int | None = None


def slots_said(schedule: Resource) -> SlotsSaid:
    """Returns what a Schedule states; raises RulesUnread if it cannot be read."""
    said = [(index, e) for index, e in enumerate(schedule.get("extension", ())) if e.get("url") == PARTS]
    for index, extension in said:
        if not isinstance(extension.get("valueBoolean"), bool):
            fault = UnreadRule(index, "yes-or-no", "valueBoolean")
            raise RulesUnread(schedule["resourceType"], (fault,))
    parts = said[0][1]["valueBoolean"] if said else None
    return SlotsSaid(_count(schedule, (SCHEDULE_CAPACITY,)), parts, _count(schedule, (ADJACENT_MAX,)))


def own_capacity(slot: Resource) -> int | None:
    """Returns how many places a slot says that it has; None: it does not say. Raises RulesUnread if it cannot be read."""
    return _count(slot, (SLOT_CAPACITY, SMART_CAPACITY))


def _count(resource: Resource, urls: tuple[str, ...]) -> int | None:
    found = [
        (index, extension)
        for index, extension in enumerate(resource.get("extension", ()))
        if extension.get("url") in urls
    ]
    for index, extension in found:
        said = extension.get("valuePositiveInt", extension.get("valueInteger"))
        if not isinstance(said, int) or not 1 <= said <= CAPACITY_MAX:
            fault = UnreadRule(index, "count", "valuePositiveInt")
            raise RulesUnread(resource["resourceType"], (fault,))
    return min((e.get("valuePositiveInt", e.get("valueInteger")) for _, e in found), default=None)


def of_kind(slot: Resource) -> Resource:
    """Returns what slots have in common, without the places left; the extensions first, so that `members_sql` finds them."""
    said = [e for e in slot.get("extension", ()) if e.get("url") != PLACES_LEFT]
    rest = {name: value for name, value in slot.items() if name != "extension"}
    return {"extension": said, **rest} if said else rest


def with_left(slot: Resource, left: int | None) -> Resource:
    """Returns the Slot, in the status that it is served with, with the number of places left; None: it has one place. A slot
    that is not free has none left."""
    rest = of_kind(slot)
    if left is None:
        return rest
    shown = left if slot["status"] == "free" else 0
    return {
        **rest,
        "extension": [{"url": PLACES_LEFT, "valueUnsignedInt": shown}, *rest.get("extension", ())],
    }


def members_sql(row: str, kind: str, status: str) -> str:
    """SQL: the members of a kind; for a slot of several places with the number left, as in `with_left`. `status`: SQL of the
    status that is shown."""
    shown = f"CASE WHEN {status} = 'free' THEN coalesce({row}.places, {kind}.capacity) ELSE 0 END"
    left = f"""'{{"url":"{PLACES_LEFT}","valueUnsignedInt":' || ({shown})::text || '}}'"""
    return (
        f"CASE WHEN {kind}.capacity IS NULL AND {row}.places IS NULL THEN {kind}.members"
        f" WHEN starts_with({kind}.members, '{_EXTENSIONS}')"
        f" THEN '{_EXTENSIONS}' || {left} || ',' || substr({kind}.members, {len(_EXTENSIONS) + 1})"
        f" ELSE '{_EXTENSIONS}' || {left} || '],' || {kind}.members END"
    )


def with_none_left(content: bytes) -> bytes:
    """Returns the bytes of a Slot as it is served, with no place left where they tell the number."""
    return _SHOWN_LEFT.sub(rb"\g<1>0", content, count=1)


def balance_sql(slot: str, kind_key: str) -> str:
    """SQL (integer): how many places a slot has minus those taken, its kind being `kind_key`. Negative if it had more:
    nobody loses theirs."""
    return (
        f"(coalesce((SELECT capacity FROM slot_kind WHERE slot_kind.key = {kind_key}), 1)"
        f" - (SELECT count(*) FROM slot_place WHERE slot_place.slot_id = {slot}.id))"
    )


def left_sql(slot: str, kind_key: str) -> str:
    """SQL (integer): how many places of a slot are left, its kind being `kind_key`."""
    return f"greatest(0, {balance_sql(slot, kind_key)})"


def status_sql(said: str, left: str) -> str:
    """SQL: the status of a slot with some places taken: what its agenda says, and busy once it is full."""
    return f"CASE WHEN {said} = 'free' AND {left} <= 0 THEN 'busy'::slot_status ELSE {said} END"


async def forget_places(connection: Connection, appointments: Sequence[str]) -> None:
    """Removes the places of appointments (ids) that are removed themselves, and the groups that have no place any more."""
    rows = await connection.fetch(
        "DELETE FROM slot_place WHERE appointment_id = ANY($1::text[]) RETURNING slot_id", list(appointments)
    )
    await _forget(connection, rows)


async def forget_person(connection: Connection, persons: Sequence[str]) -> None:
    """Remove the places of somebody who is erased."""
    rows = await connection.fetch(
        "DELETE FROM slot_place WHERE person = ANY($1::text[]) RETURNING slot_id", list(persons)
    )
    await _forget(connection, rows)


async def _forget(connection: Connection, rows: Sequence[Any]) -> None:
    if rows:
        await connection.execute(_FORGOTTEN, [row["slot_id"] for row in rows])
