"""Slots of several places, as FHIR says them and as their rows have them.

| said by | extension | stored |
|---|---|---|
| the agenda | schedule-capacity (positiveInt) | `agenda.capacity` |
| the slot | slot-capacity (positiveInt; SMART Scheduling Links: valueInteger) | `slot_kind.own_capacity` |
| us, of a slot of several | slot-places-left (unsignedInt) | `slot.places`, once somebody has one |
"""

from __future__ import annotations

from creneau_booking.domain.refusals import RulesUnread, UnreadRule
from creneau_shared.fhir.storage.store import Resource

_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
SCHEDULE_CAPACITY = _OWN + "schedule-capacity"
"""positiveInt: how many patients have a place in each slot of the agenda"""
SLOT_CAPACITY = _OWN + "slot-capacity"
"""positiveInt: the same of one slot"""
SMART_CAPACITY = "http://fhir-registry.smarthealthit.org/StructureDefinition/slot-capacity"
"""integer: the same in the words of SMART Scheduling Links"""
PLACES_LEFT = _OWN + "slot-places-left"
"""unsignedInt: how many of them are left; only the server says so"""
CAPACITY_MAX = 1000
"""places that a slot can have; more is a mistake"""

GROUP = "Slot/"
"""before the id of a slot: the group of those who have its places, as who takes the time of its people"""
_EXTENSIONS = '"extension":['


def schedule_capacity(schedule: Resource) -> int | None:
    """How many places each slot of an agenda has; None: it does not say. RulesUnread when it cannot be read."""
    return _capacity(schedule, (SCHEDULE_CAPACITY,))


def own_capacity(slot: Resource) -> int | None:
    """How many places a slot says that it has; None: it does not say. RulesUnread when it cannot be read."""
    return _capacity(slot, (SLOT_CAPACITY, SMART_CAPACITY))


def _capacity(resource: Resource, urls: tuple[str, ...]) -> int | None:
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
    """What slots have in common: their extensions first, so that `members_sql` finds them, without what only we say."""
    said = [e for e in slot.get("extension", ()) if e.get("url") != PLACES_LEFT]
    rest = {name: value for name, value in slot.items() if name != "extension"}
    return {"extension": said, **rest} if said else rest


def with_left(slot: Resource, left: int | None) -> Resource:
    """The Slot with the number of places left, of several; None: it has one."""
    rest = of_kind(slot)
    if left is None:
        return rest
    return {**rest, "extension": [{"url": PLACES_LEFT, "valueUnsignedInt": left}, *rest.get("extension", ())]}


def members_sql(row: str, kind: str) -> str:
    """SQL: the members of a kind, for a slot of several places with how many are left."""
    left = f"""'{{"url":"{PLACES_LEFT}","valueUnsignedInt":' || coalesce({row}.places, {kind}.capacity)::text || '}}'"""
    return (
        f"CASE WHEN {kind}.capacity IS NULL AND {row}.places IS NULL THEN {kind}.members"
        f" WHEN starts_with({kind}.members, '{_EXTENSIONS}')"
        f" THEN '{_EXTENSIONS}' || {left} || ',' || substr({kind}.members, {len(_EXTENSIONS) + 1})"
        f" ELSE '{_EXTENSIONS}' || {left} || '],' || {kind}.members END"
    )


def balance_sql(slot: str, kind_key: str) -> str:
    """SQL (integer): how many places a slot has more than are taken, its kind being `kind_key`. Less than none when it had
    more: nobody loses theirs."""
    return (
        f"(coalesce((SELECT capacity FROM slot_kind WHERE slot_kind.key = {kind_key}), 1)"
        f" - (SELECT count(*) FROM slot_place WHERE slot_place.slot_id = {slot}.id))"
    )


def left_sql(slot: str, kind_key: str) -> str:
    """SQL (integer): how many places of a slot somebody could still have, its kind being `kind_key`."""
    return f"greatest(0, {balance_sql(slot, kind_key)})"


def status_sql(said: str, left: str) -> str:
    """SQL: the status of a slot of which some places are taken: as its agenda says, and busy once it is full."""
    return f"CASE WHEN {said} = 'free' AND {left} <= 0 THEN 'busy'::slot_status ELSE {said} END"
