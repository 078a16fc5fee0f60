"""Each agenda's rules, as columns of `agenda`: those of its Schedule, before those of its offers (HealthcareService).

They are written with the Schedule, and again when an offer or a place of the agenda changes. Schedules are written side
by side. A writer of rules because of an actor waits for these, and they for that writer, so that neither misses what the
other has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from asyncpg import Record

from creneau_booking.domain.access_rules import (
    AccessRules,
    AgeLimit,
    AgendaRules,
    Birth,
    BookingWindow,
    strictest,
)
from creneau_booking.domain.quotas import Upcoming
from creneau_booking.domain.refusals.offering import UnknownZones
from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.agendas.access_extensions import rules_of, understood_rules_of
from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX
from creneau_booking.storage.agendas.working_places import AROUND, working_places
from creneau_booking.storage.availability.agendas import alone, beside_others, keep_agendas, keep_state
from creneau_booking.storage.availability.freshness import keep_freshness
from creneau_booking.storage.availability.groups import resize
from creneau_booking.storage.began import BEGAN
from creneau_booking.storage.mapping.places import SlotsSaid, slots_said
from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.clock import PARIS, zone_named
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.terms import after
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.fhir.zones import unknown_zones, zone_of
from creneau_shared.security.rights import SHARED

INHERITED = ("HealthcareService", "Location")
"""Types of actors on which an agenda's rules depend: offers for the rules, places for the time zone."""

_COLUMNS = (
    "zone, minimum_notice_min, window_days, opens_at, age_from_months, age_below_months,"
    " appointments_max, change_deadline_min, confirmation_required, referral_required, known_patients_only"
)
_PUT = f"""
UPDATE agenda SET ({_COLUMNS}) = ROW ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1) RETURNING schedule_key, old.zone <> new.zone AS moved
"""
_OTHERWISE = """
SELECT capacity IS DISTINCT FROM $2::smallint AS capacity,
  (capacity, parts, adjacent_max) IS DISTINCT FROM ($2::smallint, $3::boolean, $4::smallint) AS any
FROM agenda JOIN schedule ON schedule_key = key WHERE schedule.id = $1
"""
_PUT_SLOTS = """
UPDATE agenda SET (capacity, parts, adjacent_max) = ROW ($2, $3, $4)
WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)
"""
_ZONED = ("PractitionerRole", "Practitioner")
"""Other types of actors that give an agenda's time zone: roles by their places, people by their own word."""
_ACTORS = f"""
WITH RECURSIVE {AROUND.format(places="$2", roles="$3", offers="$1")}
SELECT -1 AS rank, 0 AS depth, id, content FROM healthcare_service WHERE id = ANY($1) AND NOT deleted
UNION ALL SELECT around.rank, around.depth, place.id, place.content
  FROM around JOIN location AS place ON place.id = around.id WHERE NOT place.deleted
UNION ALL SELECT 3, 0, id, content FROM practitioner_role WHERE id = ANY($3) AND NOT deleted
UNION ALL SELECT 4, 0, id, content FROM practitioner WHERE id = ANY($4) AND NOT deleted
ORDER BY rank, depth, id
"""
_OTHER_ZONE = """
SELECT DISTINCT schedule.id, schedule.content FROM agenda_named AS named JOIN schedule ON schedule.key = named.schedule_key
JOIN agenda ON agenda.schedule_key = schedule.key
WHERE named.reference = ANY($1::text[]) AND NOT schedule.deleted
  AND (agenda.zone <> $2 OR starts_with(named.reference, 'Practitioner/') AND NOT EXISTS (
    SELECT FROM unnest(schedule.terms) AS t WHERE t ~ '^actor=(HealthcareService|Location|PractitionerRole)/'))
ORDER BY schedule.id
"""
"""Agendas in another time zone, and those of a person alone, who may work elsewhere as well."""
_TO_COME = f"""
FROM appointment {BEGAN}
WHERE terms @> ARRAY['patient=' || $1] AND terms && $2::text[]
  AND began.low > $3 AND id <> ALL($4::text[]) AND ($5 OR terms @> ARRAY[$6 || substr($1, 9)])
"""
_AGENDAS = """
SELECT slot.id, schedule.id AS schedule,
  ARRAY(SELECT substr(term, 11) FROM unnest(kind.terms) AS term WHERE term ~ '^specialty=.*[^|]$') AS specialties
FROM slot JOIN slot_kind kind ON kind.key = slot.kind_key
JOIN schedule ON schedule.key = slot.schedule_key
WHERE slot.id = ANY($1::uuid[]) AND slot.start > $2 AND slot.start < $3
"""
_STANDING = f"""
SELECT standing.to_come, ruled.* FROM (SELECT count(*) AS to_come {_TO_COME}) AS standing
LEFT JOIN (SELECT schedule.id, {_COLUMNS} FROM schedule JOIN agenda ON schedule_key = key) AS ruled
  ON ruled.id = ANY($7)
"""
_TAKING = [f"status={status}" for status in SLOT_STATUS_OF]


async def schedule_changed(
    connection: Connection, context: WriteContext, kind: ChangeKind, stored: Stored, resource: Resource | None
) -> None:
    """Hook of Schedule: keeps its availability and its rules. Raises UnknownZones or RulesUnread if it states one that
    cannot be read. Raises JoiningTaken if a newly named person is elsewhere at the time of what is taken in the agenda."""
    if resource is not None and (zones := tuple(unknown_zones(resource))):
        raise UnknownZones(zones)
    rules = rules_of(resource) if resource is not None else None
    slots = slots_said(resource) if resource is not None else SlotsSaid()
    await beside_others(connection)
    resized = resource is not None and await _has_other_places(connection, stored.id, slots)
    key = await connection.fetchval("SELECT key FROM schedule WHERE id = $1", stored.id)
    await keep_agendas(connection, [key], context.now, strict=True, resized=resized)
    if resource is not None and rules is not None:
        await _keep(connection, stored.id, resource, rules, context.now)
        await _keep_slots(connection, stored.id, slots, context.now)
        await keep_freshness(connection, stored.id, resource, context.now)


async def _has_other_places(connection: Connection, id_: str, said: SlotsSaid) -> bool:
    """Whether a stored agenda (id) has been said to have another number of places until now."""
    row = await connection.fetchrow(_OTHERWISE, id_, said.capacity, said.parts, said.adjacent_max)
    return row is not None and bool(row["capacity"])


async def _keep_slots(connection: Connection, id_: str, said: SlotsSaid, now: datetime) -> None:
    """Keeps what an agenda says of its slots. If the number of places changes, partly taken ones follow; nobody takes or
    frees them meanwhile."""
    values = (said.capacity, said.parts, said.adjacent_max)
    row = await connection.fetchrow(_OTHERWISE, id_, *values)
    if row is None or not row["any"]:
        return
    await connection.execute(_PUT_SLOTS, id_, *values)
    if row["capacity"]:
        await resize(connection, id_, now)


async def actor_changed(connection: Connection, reference: str, now: datetime) -> None:
    """Recomputes the rules of the agendas that name a changed offer or place (`HealthcareService/12`)."""
    await alone(connection)
    rows = await connection.fetch(
        "SELECT id, content FROM schedule WHERE terms && ARRAY['actor=' || $1] AND NOT deleted ORDER BY id",
        reference,
    )
    for row in rows:
        resource = loads(row["content"])
        await _keep(connection, row["id"], resource, understood_rules_of(resource), now)


async def place_said(connection: Connection, reference: str, named: Sequence[str], now: datetime) -> None:
    """Recomputes the time zone of agendas that depend on a changed place, role or professional. `named`: the references by
    which agendas depend on it (see `named_with`)."""
    kind, _, id_ = reference.partition("/")
    if kind == "Location":
        named = [one for one in named if one != reference]  # see `actor_changed`
    if not named:
        return
    await alone(connection)
    zone = _zone_in(await _said_by_actors(connection, {kind: [id_]}))
    for row in await connection.fetch(_OTHER_ZONE, list(named), str(zone)):
        resource = loads(row["content"])
        await _keep(connection, row["id"], resource, understood_rules_of(resource), now)


async def _said_by_actors(connection: Connection, ids: Mapping[str, Sequence[str]]) -> list[Resource]:
    """Returns the resources of actors (ids by type), and of the places of roles and offers, in order of precedence."""
    rows = await connection.fetch(_ACTORS, *(list(ids.get(kind, ())) for kind in (*INHERITED, *_ZONED)))
    return [loads(row["content"]) for row in rows if row["content"] is not None]


def _zone_in(resources: Iterable[Resource]) -> ZoneInfo:
    return next((zone for zone in map(zone_of, resources) if zone is not None), PARIS)


async def _keep(
    connection: Connection, id_: str, schedule: Resource, own: AccessRules, now: datetime
) -> None:
    ids: dict[str, list[str]] = {}
    for actor in schedule.get("actor", ()):
        kind, _, name = actor.get("reference", "").split("/_history/")[0].rpartition("/")
        ids.setdefault(kind.rpartition("/")[2], []).append(name)
    resources = await _said_by_actors(connection, ids) if ids.keys() & {*INHERITED, *_ZONED} else []
    places = await working_places(connection, ids.get("Practitioner", ()), ids.keys())
    offers = [understood_rules_of(r) for r in resources if r["resourceType"] == "HealthcareService"]
    rules = own.over(strictest(offers))
    zone = _zone_in((schedule, *places, *resources))
    row = await connection.fetchrow(_PUT, id_, str(zone), *_values(rules))
    if row is not None and row["moved"]:
        await keep_state(connection, [row["schedule_key"]], now)


def _values(rules: AccessRules) -> tuple[Any, ...]:
    window, age = rules.window, rules.age
    return (
        _minutes(rules.minimum_notice),
        window.days if window else None,
        window.opens_at if window else None,
        age.from_months if age else None,
        age.below_months if age else None,
        rules.appointments_max,
        _minutes(rules.change_deadline),
        rules.confirmation_required,
        rules.referral_required,
        rules.known_patients_only,
    )


def _minutes(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds()) // 60


def _rules(row: Record) -> AgendaRules:
    def duration(minutes: int | None) -> timedelta | None:
        return None if minutes is None else timedelta(minutes=minutes)

    window, age = row["window_days"], row["age_from_months"]
    rules = AccessRules(
        minimum_notice=duration(row["minimum_notice_min"]),
        window=None if window is None else BookingWindow(window, row["opens_at"]),
        age=None if age is None else AgeLimit(age, row["age_below_months"]),
        appointments_max=row["appointments_max"],
        change_deadline=duration(row["change_deadline_min"]),
        confirmation_required=row["confirmation_required"],
        referral_required=row["referral_required"],
        known_patients_only=row["known_patients_only"],
    )
    return AgendaRules(row["id"], rules, zone_named(row["zone"]) or PARIS)


async def rules_of_schedules(connection: Connection, schedules: Sequence[str]) -> dict[str, AgendaRules]:
    """The rules of the agendas (ids), by id."""
    rows = await connection.fetch(
        f"SELECT id, {_COLUMNS} FROM schedule JOIN agenda ON schedule_key = key WHERE id = ANY($1)",
        schedules,
    )
    return {row["id"]: _rules(row) for row in rows}


async def standing_of(
    connection: Connection,
    schedules: Sequence[str],
    patient: str,
    now: datetime,
    *,
    besides: Sequence[str],
    hidden_too: bool,
) -> tuple[dict[str, AgendaRules], int]:
    """The rules of the agendas (ids), and how many appointments to come a patient has, those of `besides` not counted;
    `hidden_too`: see `upcoming_of`."""
    rows = await connection.fetch(_STANDING, patient, _TAKING, now, besides, hidden_too, SHARED, schedules)
    return {row["id"]: _rules(row) for row in rows if row["id"] is not None}, rows[0]["to_come"]


async def rules_of_slots(connection: Connection, slots: Sequence[str]) -> list[AgendaRules]:
    """The rules of the agendas of these slots (ids)."""
    rows = await connection.fetch(
        f"SELECT DISTINCT schedule.id, {_COLUMNS} FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        " JOIN agenda ON agenda.schedule_key = schedule.key WHERE slot.id = ANY($1::uuid[])",
        [slot_key(id_) for id_ in slots],
    )
    return [_rules(row) for row in rows]


async def change_deadlines(
    connection: Connection, slots: Sequence[str], first: datetime, last: datetime
) -> dict[str, timedelta]:
    """Returns how long before the start a patient may last cancel or move, by slot (id), where its agenda says so.
    `first` and `last`: the earliest and the latest start of the slots' appointments."""
    rows = await connection.fetch(
        "SELECT coalesce(slot.name, slot.id::text) AS id, change_deadline_min FROM slot JOIN agenda USING (schedule_key)"
        # The ids are hidden from the planner: one plan serves all.
        " WHERE slot.id = ANY((SELECT $1::uuid[])::uuid[]) AND slot.start > $2 AND slot.start < $3"
        " AND change_deadline_min IS NOT NULL",
        [slot_key(id_) for id_ in slots],
        first - SLOT_LENGTH_MAX,
        last + SLOT_LENGTH_MAX,
    )
    return {row["id"]: timedelta(minutes=row["change_deadline_min"]) for row in rows}


async def births_of(connection: Connection, patients: Sequence[str]) -> dict[str, Birth]:
    """When the Patients of this base (ids) were born, as far as it is known, by id."""
    rows = await connection.fetch(
        "SELECT id, (low AT TIME ZONE $2)::date AS first, (high AT TIME ZONE $2)::date - 1 AS last"
        " FROM patient JOIN patient_date ON patient_date.key = patient.key AND parameter = 'birthdate'"
        " WHERE id = ANY((SELECT $1::text[])::text[])",
        list(patients),
        str(PARIS),
    )
    return {row["id"]: Birth(row["first"], row["last"]) for row in rows}


async def future_appointments(
    connection: Connection,
    patient: str,
    now: datetime,
    *,
    besides: Sequence[str] = (),
    hidden_too: bool = True,
) -> dict[str, int]:
    """How many appointments to come a patient (reference) has in each agenda (id), those of `besides` not counted;
    `hidden_too`: see `upcoming_of`."""
    upcoming = await upcoming_of(connection, patient, now, besides=besides, hidden_too=hidden_too)
    return dict(Counter(agenda for one in upcoming for agenda in one.agendas))


async def upcoming_of(
    connection: Connection, patient: str, now: datetime, *, besides: Sequence[str] = (), hidden_too: bool
) -> list[Upcoming]:
    """Returns the appointments to come of a patient (reference), without `besides` (ids). Without `hidden_too`, only those
    that their representatives see: an answer to them must not tell of others."""
    rows = await connection.fetch(
        f"SELECT terms, low {_TO_COME}",
        patient,
        _TAKING,
        now,
        besides,
        hidden_too,
        SHARED,
    )
    of_each = [[slot_key(id_) for id_ in after("slot=Slot/", row["terms"])] for row in rows]
    if not any(of_each):
        return [Upcoming(frozenset(), frozenset()) for _ in rows]
    starts = [row["low"] for row in rows]
    slots = await connection.fetch(
        _AGENDAS,
        [key for keys in of_each for key in keys],
        min(starts) - SLOT_LENGTH_MAX,
        max(starts) + SLOT_LENGTH_MAX,
    )
    known = {row["id"]: (row["schedule"], row["specialties"]) for row in slots}
    return [
        Upcoming(
            frozenset(known[key][0] for key in keys if key in known),
            frozenset(specialty for key in keys if key in known for specialty in known[key][1]),
        )
        for keys in of_each
    ]


async def count_requests(
    connection: Connection, patient: str, own: Collection[str], represented: Collection[str], *, besides: str
) -> tuple[int, int]:
    """How many requests of a patient (id), and of all these people (ids) together, wait to be answered; `besides` (id) is not
    counted, nor what is hidden from whoever represents somebody."""
    terms = [f"patient=Patient/{id_}" for id_ in own] + [f"{SHARED}{id_}" for id_ in represented]
    [row] = await connection.fetch(
        "SELECT count(*) FILTER (WHERE terms @> ARRAY['patient=Patient/' || $1]) AS of_patient, count(*) AS of_all"
        " FROM appointment WHERE terms && $2::text[] AND terms && $3::text[] AND id <> $4",
        patient,
        terms,
        ["status=proposed", "status=waitlist"],
        besides,
    )
    return int(row["of_patient"]), int(row["of_all"])
