"""Who can be in one place only, and whose turn it is to dispose of their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.storage.freed import AGENDA_AWAITED
from creneau_booking.storage.slot_rows import KEY_SQL
from creneau_shared.database.pool import Connection

ROOM = """(convert_from({place}.content, 'UTF8')::jsonb @? '$.physicalType.coding[*] ?
  (@.system == "http://terminology.hl7.org/CodeSystem/location-physical-type" && (@.code == "ro" || @.code == "bd"))')"""
"""Condition on a row of `location`: it is a room or a bed, which one visit takes; a surgery or a site receives many."""

TURN = "hashtextextended('time of ' || {actor}, 0)"
"""The advisory lock of an actor's time: shared for whoever writes slots as an agenda says them, exclusive for whoever
takes or frees."""

CONCERNED = """(
  SELECT actor FROM {people}
  UNION SELECT beside.actor FROM {people} JOIN agenda_actor AS own USING (actor)
    JOIN agenda_actor AS beside USING (schedule_key)
  ORDER BY actor)"""
"""FROM item: these people (a FROM item with `actor`), and those who share an agenda with one of them. Whether a slot is free
depends on everybody of its agenda: who takes one of them while another is freed must know of it."""

RESOLVED = f"""
SELECT 'PractitionerRole/' || id AS named, substr(t, 14) AS exclusive
FROM practitioner_role, unnest(terms) AS t WHERE id = ANY({{roles}}) AND starts_with(t, 'practitioner=Practitioner/')
UNION ALL
SELECT 'Location/' || id, 'Location/' || id FROM location AS place
WHERE id = ANY({{places}}) AND content IS NOT NULL AND {ROOM.format(place="place")}
"""
"""SQL: who (`exclusive`) is taken with a role or a room (`named`), as references; `roles` and `places` are ids."""
_RESOLVE = RESOLVED.format(roles="$1", places="$2")
_TAKEN = (
    CONCERNED.format(
        people="""(
          SELECT actor FROM occupancy WHERE appointment_id = ANY($1)
          UNION SELECT actor FROM occupancy WHERE appointment_id IN (
            SELECT 'Slot/' || slot_id FROM slot_place WHERE appointment_id = ANY($1))
          UNION SELECT actor FROM agenda_actor JOIN schedule ON schedule.key = schedule_key
            WHERE schedule.terms @> ARRAY['actor=' || $2]
          UNION SELECT unnest($3::text[])) AS taken"""
    )
    + " AS people"
)
# Their slots with them, so that nobody gives the agenda to others until we have ended: who frees finds whom there are.
_WAIT = f"""
WITH turn AS MATERIALIZED (
  SELECT count(pg_advisory_xact_lock({TURN.format(actor="actor")})) AS waited FROM {_TAKEN}
), locked AS MATERIALIZED (
  SELECT slot.id FROM turn CROSS JOIN slot WHERE turn.waited >= 0 AND slot.taken_by = ANY($1) AND slot.id = ANY(ARRAY(
    SELECT {KEY_SQL.format(id="substr(t, 11)")} FROM appointment, unnest(terms) AS t
    WHERE appointment.id = ANY($1) AND t ~ '^slot=Slot/[^/]+$'))
  ORDER BY slot.schedule_key, slot.start, slot.id FOR UPDATE OF slot
)
SELECT waited, (SELECT count(*) FROM locked) FROM turn
"""
_TRY = (
    f"SELECT coalesce(bool_and(pg_try_advisory_xact_lock({TURN.format(actor='actor')})), true) FROM {_TAKEN}"
)
_STOP_PEOPLE = f"""
SELECT count(pg_advisory_xact_lock({TURN.format(actor="actor")})) FROM (
  SELECT unnest($1::text[]) AS actor
  UNION SELECT actor FROM agenda_actor JOIN schedule ON schedule.key = schedule_key WHERE schedule.id = ANY($2::text[])
  ORDER BY actor) AS people
"""
_STOP_SLOTS = """
SELECT FROM slot WHERE schedule_key = ANY(ARRAY(SELECT key FROM schedule WHERE id = ANY($1::text[]))) AND "end" > $2
ORDER BY schedule_key, start, id FOR UPDATE
"""
_CHANGING = CONCERNED.format(
    people="(SELECT actor FROM agenda_actor WHERE schedule_key = ANY($1::bigint[]) UNION SELECT unnest($2::text[])) AS changing"
)
_STOP_AGENDAS = (
    f"SELECT count(pg_advisory_xact_lock({TURN.format(actor='actor')})) FROM {_CHANGING} AS people"
)
_STOP_IN_AGENDAS = """
SELECT FROM slot WHERE schedule_key = ANY($1::bigint[]) AND "end" > $2 AND (taken_by IS NOT NULL
  OR NOT EXISTS (SELECT FROM agenda_actor WHERE agenda_actor.schedule_key = slot.schedule_key))
ORDER BY schedule_key, start, id FOR UPDATE
"""
"""What is taken, for whoever gives it back; where an agenda has nobody whose turn it could be, all of it."""
_BESIDE = f"""CASE WHEN bool_or({{alone}}) THEN pg_advisory_xact_lock({TURN.format(actor="actor")})
  ELSE pg_advisory_xact_lock_shared({TURN.format(actor="actor")}) END"""
_AGENDA = """('agenda ' || schedule_key) COLLATE "C" """
"""SQL: as whose turn that of an agenda itself stands, after all people: shared for whoever writes its slots, exclusive for
whoever closes a time of it or opens it again. Whoever takes or frees has no need of it."""
_TURN_OF_AGENDAS = f"""(
  SELECT count(locked) AS waited FROM (
    SELECT {_BESIDE.format(alone="alone")} AS locked FROM (
      SELECT actor, {AGENDA_AWAITED.format(agenda="agenda_actor.schedule_key")} AS alone FROM agenda_actor
      WHERE {{agendas}}
      UNION ALL SELECT {_AGENDA}, {{closing}} FROM agenda WHERE {{agendas}}) AS people
    GROUP BY actor ORDER BY actor) AS turns)"""
TURN_BESIDE = _TURN_OF_AGENDAS.format(agendas="{agendas}", closing="false")
"""FROM item (`waited`): waits until nobody takes or frees the people of these agendas (`agendas`: a condition on
`schedule_key`), nor closes a time of them. Others may write slots meanwhile, but for agendas for which somebody waits: what is
new there is taken for them before the transaction ends, by one who has it all."""
_TRY_BESIDE = f"""
SELECT coalesce(bool_and(CASE WHEN awaited THEN pg_try_advisory_xact_lock({TURN.format(actor="actor")})
  ELSE pg_try_advisory_xact_lock_shared({TURN.format(actor="actor")}) END), true) FROM (
  SELECT actor, {AGENDA_AWAITED.format(agenda="schedule_key")} AS awaited FROM agenda_actor
  WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)
  UNION ALL SELECT {_AGENDA}, false FROM agenda WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)) AS people
"""
_OF_AGENDA = f"SELECT waited FROM {TURN_BESIDE.format(agendas='schedule_key = ANY($1)')} AS turn"
_OF_AGENDA_ALONE = (
    f"SELECT waited FROM {_TURN_OF_AGENDAS.format(agendas='schedule_key = $1', closing='true')} AS turn"
)


def by_kind(references: Sequence[str]) -> tuple[list[str], list[str]]:
    """The ids of the roles, and those of the places."""
    roles = [r.partition("/")[2] for r in references if r.startswith("PractitionerRole/")]
    places = [r.partition("/")[2] for r in references if r.startswith("Location/")]
    return roles, places


async def resolve(connection: Connection, references: Sequence[str]) -> dict[str, str]:
    """For each of these references that is a role or a room: who is taken with it."""
    roles, places = by_kind(references)
    if not roles and not places:
        return {}
    return {row["named"]: row["exclusive"] for row in await connection.fetch(_RESOLVE, roles, places)}


async def wait_for_turn(
    connection: Connection, *appointments: str, beside: str | None = None, people: Sequence[str] = ()
) -> None:
    """Wait until nobody else disposes of the time of those whom these appointments (ids) take, nor of those who share an
    agenda with an actor (`beside`), nor of these `people`; the slots that they have are locked. Whoever frees several, or
    frees and then takes, waits for all of them at once, their rows locked."""
    await connection.execute(_WAIT, list(appointments), beside, list(people))


async def try_turn(connection: Connection, appointment_id: str) -> bool:
    """Whether it is our turn at once. Whoever holds slots already must not wait for people as well."""
    return bool(await connection.fetchval(_TRY, [appointment_id], None, []))


async def try_beside(connection: Connection, schedule: str) -> bool:
    """Whether nobody takes or frees the people of this agenda (id) or closes a time of it, nor does before we have ended. Whoever
    writes beside another agenda already must not wait for these people as well."""
    return bool(await connection.fetchval(_TRY_BESIDE, schedule))


async def stop_taking(
    connection: Connection, *, people: Sequence[str] = (), schedules: Sequence[str] = (), now: datetime
) -> None:
    """Wait until nobody is taking time of these people, nor slots of these agendas (ids); from then on nobody does, until we
    have ended. Who waits for us finds what we leave."""
    await connection.execute(_STOP_PEOPLE, list(people), list(schedules))
    if schedules:
        await connection.execute(_STOP_SLOTS, list(schedules), now)


async def stop_changing(
    connection: Connection, agendas: Sequence[int], people: Sequence[str], now: datetime
) -> None:
    """Wait until nobody takes or frees time in these agendas (keys), nor of the people who join them, nor of who shares an
    agenda with one of them; from then on nobody does, until we have ended. Who waits for us finds other people there, and sees it
    (`taking.Taken`)."""
    await connection.execute(_STOP_AGENDAS, list(agendas), list(people))
    await connection.execute(_STOP_IN_AGENDAS, list(agendas), now)


async def write_beside(connection: Connection, schedules: Sequence[int]) -> None:
    """Wait until nobody takes or frees the people of these agendas (keys), nor closes a time of them; others may write slots
    meanwhile."""
    await connection.execute(_OF_AGENDA, list(schedules))


async def write_alone(connection: Connection, schedule: int) -> None:
    """The same of one agenda (key), and nobody else writes slots of it meanwhile: who waits for us knows what we leave."""
    await connection.execute(_OF_AGENDA_ALONE, schedule)
