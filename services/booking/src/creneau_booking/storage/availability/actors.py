"""Actors who can be in one place only, and the locks (turns) on their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.domain.refusals.slots import JoinedMeanwhile
from creneau_booking.storage.availability.freed import AGENDA_AWAITED
from creneau_booking.storage.mapping.slot import KEY_SQL
from creneau_shared.database.pool import Connection

ROOM = """(convert_from({place}.content, 'UTF8')::jsonb @? '$.physicalType.coding[*] ?
  (@.system == "http://terminology.hl7.org/CodeSystem/location-physical-type" && (@.code == "ro" || @.code == "bd"))')"""
"""Condition on a row of `location`: it is a room or a bed, which one visit takes; a surgery or a site receives many."""

TURN = "hashtextextended('time of ' || {actor}, 0)"
"""The advisory lock of an actor's time: shared for writers of slots as an agenda says them, exclusive for those who take
or free."""

WAITED = f"count(pg_advisory_xact_lock({TURN.format(actor='actor')})) >= 0"
"""SQL aggregate over people (rows with `actor`, in order): true, after waiting for the turn of each."""
TRIED = f"coalesce(bool_and(pg_try_advisory_xact_lock({TURN.format(actor='actor')})), true)"
"""The same without waiting: whether the turns of all were to be had at once."""

CONCERNED = """(
  SELECT actor FROM {people}
  UNION SELECT beside.actor FROM {people} JOIN agenda_actor AS own USING (actor)
    JOIN agenda_actor AS beside USING (schedule_key)
  ORDER BY actor)"""
"""FROM item: these people (a FROM item with `actor`), and those who share an agenda with one of them. A slot is free only if
everybody of its agenda is: a transaction that takes one of them must know whether another is being freed."""

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
# Locks their slots too: nobody hands the agenda to others until this transaction ends, so a release finds its people.
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
_TRY = f"SELECT {TRIED} FROM {_TAKEN}"
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
_STOPPED = f"SELECT {TRIED} FROM {_CHANGING} AS people"
_STOP_IN_AGENDAS = """
SELECT FROM slot WHERE schedule_key = ANY($1::bigint[]) AND "end" > $2 AND (taken_by IS NOT NULL
  OR NOT EXISTS (SELECT FROM agenda_actor WHERE agenda_actor.schedule_key = slot.schedule_key))
ORDER BY schedule_key, start, id FOR UPDATE
"""
"""Locks the taken slots against those who give them back; of an agenda without people, which has no turns, all slots."""
_BESIDE = f"""CASE WHEN bool_or({{alone}}) THEN pg_advisory_xact_lock({TURN.format(actor="actor")})
  ELSE pg_advisory_xact_lock_shared({TURN.format(actor="actor")}) END"""
_AGENDA = """('agenda ' || schedule_key) COLLATE "C" """
"""SQL: the name of the turn of an agenda itself, which sorts after all people. Shared for writers of its slots, exclusive
for those who close a time of it or open it again. Those who take or free do not need it."""
_TURN_OF_AGENDAS = f"""(
  SELECT count(locked) AS waited FROM (
    SELECT {_BESIDE.format(alone="alone")} AS locked FROM (
      SELECT actor, {AGENDA_AWAITED.format(agenda="agenda_actor.schedule_key")} AS alone FROM agenda_actor
      WHERE {{agendas}}
      UNION ALL SELECT {_AGENDA}, {{closing}} FROM agenda WHERE {{agendas}}) AS people
    GROUP BY actor ORDER BY actor) AS turns)"""
TURN_BESIDE = _TURN_OF_AGENDAS.format(agendas="{agendas}", closing="false")
"""FROM item (`waited`): waits until nobody takes or frees the people of these agendas (`agendas`: a condition on
`schedule_key`), nor closes a time of them. Others may write slots meanwhile, except where somebody waits for slots of an
agenda: a writer who has that agenda alone takes new slots for them before the transaction ends."""
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
    """Returns the ids of the roles, and those of the places."""
    roles = [r.partition("/")[2] for r in references if r.startswith("PractitionerRole/")]
    places = [r.partition("/")[2] for r in references if r.startswith("Location/")]
    return roles, places


async def resolve(connection: Connection, references: Sequence[str]) -> dict[str, str]:
    """Returns who is taken with each of these references that is a role or a room."""
    roles, places = by_kind(references)
    if not roles and not places:
        return {}
    return {row["named"]: row["exclusive"] for row in await connection.fetch(_RESOLVE, roles, places)}


async def wait_for_turn(
    connection: Connection, *appointments: str, beside: str | None = None, people: Sequence[str] = ()
) -> None:
    """Waits until nobody else takes or frees the time of the people of these appointments (ids), of those who share an
    agenda with the actor `beside`, and of `people`. Locks the slots of the appointments. Whoever frees several, or frees and
    then takes, waits for all of them at once, their rows locked."""
    await connection.execute(_WAIT, list(appointments), beside, list(people))


async def try_turn(connection: Connection, *appointments: str, people: Sequence[str] = ()) -> bool:
    """Tries to get the turn at once. Whoever has people or slots already must not wait for other people as well."""
    return bool(await connection.fetchval(_TRY, list(appointments), None, list(people)))


async def try_beside(connection: Connection, schedule: str) -> bool:
    """Tries to keep others, until this transaction ends, from taking or freeing the people of this agenda (id) and from
    closing a time of it. Whoever writes beside another agenda already must not wait for these people as well."""
    return bool(await connection.fetchval(_TRY_BESIDE, schedule))


async def stop_taking(
    connection: Connection, *, people: Sequence[str] = (), schedules: Sequence[str] = (), now: datetime
) -> None:
    """Waits until nobody is taking time of these people, or slots of these agendas (ids), and keeps others from it until
    this transaction ends. Those who wait then find its result."""
    await connection.execute(_STOP_PEOPLE, list(people), list(schedules))
    if schedules:
        await connection.execute(_STOP_SLOTS, list(schedules), now)


async def stop_changing(
    connection: Connection, agendas: Sequence[int], people: Sequence[str], now: datetime
) -> None:
    """Waits until nobody takes or frees time in these agendas (keys), of the people who join them, or of those who share an
    agenda with one of them. Keeps others from it until this transaction ends; those who wait then see that the people have
    changed (`taking.Taken`). Raises JoinedMeanwhile if somebody has joined one of their agendas during the wait and is being
    taken or freed now: what is free there would be judged without knowing it."""
    await connection.execute(_STOP_AGENDAS, list(agendas), list(people))
    if not await connection.fetchval(_STOPPED, list(agendas), list(people)):
        raise JoinedMeanwhile()
    await connection.execute(_STOP_IN_AGENDAS, list(agendas), now)


async def write_beside(connection: Connection, schedules: Sequence[int]) -> None:
    """Wait until nobody takes or frees the people of these agendas (keys), nor closes a time of them; others may write slots
    meanwhile."""
    await connection.execute(_OF_AGENDA, list(schedules))


async def write_alone(connection: Connection, schedule: int) -> None:
    """Does the same for one agenda (key), and keeps others from writing its slots: those who wait then see the result."""
    await connection.execute(_OF_AGENDA_ALONE, schedule)
