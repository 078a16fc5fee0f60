"""Which agendas are open, within which period, and whose time they are. Kept as their facts change, so that a search
reads one row an agenda.

An agenda is open while it is active and nothing that it names has gone: a professional, a role, an offer, a place, or the
organisation of one of these (R4 `active`, `Location.status`). A place goes with the building that it is part of, a role or
an offer with the last of its places. A person who is named without a role, an offer or a place is where their roles are,
and goes with the last of these. An actor of whom the directory has said nothing yet counts as there. The period is the
planning horizon, within the periods of the roles that the agenda names, or of those of the person alone: a role that ends
closes the agenda from then on without anybody saying so again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.storage.availability.actors import ROOM, write_beside
from creneau_booking.storage.availability.freed import AWAITED, note_agendas, note_awaited
from creneau_booking.storage.availability.hands import (
    Hands,
    agendas_with,
    hand_over_what_is_taken,
    stop_for,
)
from creneau_booking.storage.availability.rule import JUDGED
from creneau_booking.storage.mapping.slot import SUPERSEDE, SUPERSEDED, SUPERSEDED_COLUMNS
from creneau_shared.database.pool import Connection
from creneau_shared.security.rights import OWNER

STATED = ("Practitioner", "PractitionerRole", "HealthcareService", "Location", "Organization", "Device")
"""Types of the directory whose state an agenda depends on."""

_INACTIVE = """({row}.deleted OR {row}.terms && ARRAY[
    'active=false', 'status=inactive', 'status=suspended', 'status=entered-in-error'])"""
_ORGANIZATION_GONE = f"""EXISTS (
    SELECT FROM organization WHERE {_INACTIVE.format(row="organization")} AND organization.id IN (
      SELECT substr(t, 27) FROM unnest({{row}}.terms) AS t WHERE starts_with(t, 'organization=Organization/')))"""
_PRACTITIONER_GONE = f"""EXISTS (
    SELECT FROM practitioner WHERE {_INACTIVE.format(row="practitioner")} AND practitioner.id IN (
      SELECT substr(t, 27) FROM unnest({{row}}.terms) AS t WHERE starts_with(t, 'practitioner=Practitioner/')))"""
_PLACE_GONE = f"""EXISTS (
    WITH RECURSIVE whole (id) AS (
      SELECT {{id}} COLLATE "C"
      UNION SELECT substr(t, 17) FROM whole JOIN location AS part ON part.id = whole.id CROSS JOIN unnest(part.terms) AS t
        WHERE starts_with(t, 'partof=Location/'))
    SELECT FROM whole JOIN location AS place ON place.id = whole.id WHERE {_INACTIVE.format(row="place")})"""
_NOWHERE = f"""coalesce((
    SELECT bool_and({_PLACE_GONE.format(id="substr(t, 19)")}) FROM unnest({{row}}.terms) AS t
    WHERE starts_with(t, 'location=Location/')), false)"""
_NO_OFFER_LEFT = f"""coalesce((
    SELECT bool_and(EXISTS (
      SELECT FROM healthcare_service AS offer WHERE offer.id = substr(t, 27) AND {_INACTIVE.format(row="offer")}))
    FROM unnest({{row}}.terms) AS t WHERE starts_with(t, 'service=HealthcareService/')), false)"""
ROLE_GONE = f"""({_INACTIVE.format(row="role")} OR {_PRACTITIONER_GONE.format(row="role")}
  OR {_ORGANIZATION_GONE.format(row="role")} OR {_NOWHERE.format(row="role")} OR {_NO_OFFER_LEFT.format(row="role")})"""
"""SQL: a situation (`role`) is out of use, or its professional, its organisation, all its places or all its offers are."""
PLACE_GONE = _PLACE_GONE.format(id="place.id")
"""SQL: a place (`place`) is out of use, or the building that it is part of."""
IN_PERIOD = """NOT EXISTS (SELECT FROM practitioner_role_date AS period WHERE period.key = role.key
    AND period.parameter = 'date' AND (period.low > now() OR period.high <= now()))"""
"""SQL: a situation (`role`) has begun, and has not ended."""
_GONE = f"""CASE named.type
  WHEN 'Practitioner' THEN EXISTS (
    SELECT FROM practitioner WHERE id = named.id AND {_INACTIVE.format(row="practitioner")})
  WHEN 'PractitionerRole' THEN EXISTS (
    SELECT FROM practitioner_role AS role WHERE role.id = named.id AND {ROLE_GONE})
  WHEN 'HealthcareService' THEN EXISTS (
    SELECT FROM healthcare_service AS offer WHERE offer.id = named.id
      AND ({_INACTIVE.format(row="offer")} OR {_ORGANIZATION_GONE.format(row="offer")} OR {_NOWHERE.format(row="offer")}))
  WHEN 'Location' THEN {_PLACE_GONE.format(id="named.id")} OR EXISTS (
    SELECT FROM location AS place WHERE place.id = named.id AND {_ORGANIZATION_GONE.format(row="place")})
  WHEN 'Device' THEN EXISTS (
    SELECT FROM device WHERE device.id = named.id
      AND ({_INACTIVE.format(row="device")} OR {_ORGANIZATION_GONE.format(row="device")} OR {_NOWHERE.format(row="device")}))
  ELSE false END"""
_NAMED = """named AS MATERIALIZED (
  SELECT schedule.key, split_part(substr(t, 7), '/', 1) AS type, split_part(substr(t, 7), '/', 2) AS id
  FROM schedule, unnest(schedule.terms) AS t
  WHERE schedule.key = ANY($1) AND t ~ '^actor=[A-Za-z]+/[^/]+$'
)"""
# A deleted role no longer names its professional; that the agenda has an owner shows that there was a role.
_ALONE = f"""alone AS MATERIALIZED (
  SELECT key, count(*) = 1 AS single FROM named GROUP BY key
  HAVING bool_or(type = 'Practitioner') AND NOT bool_or(type IN ('HealthcareService', 'Location', 'PractitionerRole'))
), working AS MATERIALIZED (
  SELECT named.key, named.id, within.low, within.high, role.key IS NULL AS unknown,
    role.key IS NOT NULL AND NOT {ROLE_GONE} AS works
  FROM named JOIN alone USING (key)
  LEFT JOIN practitioner_role AS role ON role.terms @> ARRAY['practitioner=Practitioner/' || named.id]
  LEFT JOIN practitioner_role_date AS within ON within.key = role.key AND within.parameter = 'date'
  WHERE named.type = 'Practitioner'
), idle AS (
  SELECT working.key FROM working JOIN alone USING (key) JOIN schedule USING (key)
  GROUP BY working.key, working.id, alone.single, schedule.terms
  HAVING NOT bool_or(works) AND (NOT bool_or(unknown)
    OR single AND EXISTS (SELECT FROM unnest(schedule.terms) AS t WHERE starts_with(t, '{OWNER}')))
)"""
# Days are indexed as those of Paris, before it is known where an agenda is.
_BY_ITS_CLOCK = """CASE WHEN zone <> 'Europe/Paris' AND isfinite({bound})
    AND ({bound} AT TIME ZONE 'Europe/Paris')::time = '00:00'
    THEN {bound} AT TIME ZONE 'Europe/Paris' AT TIME ZONE zone ELSE {bound} END"""
_KEEP_STATE = f"""
WITH {_NAMED}, {_ALONE}, period AS (
  SELECT key, low, high FROM schedule_date WHERE key = ANY($1) AND parameter = 'date'
  UNION ALL
  SELECT named.key, within.low, within.high FROM named
  JOIN practitioner_role AS role ON named.type = 'PractitionerRole' AND role.id = named.id
  JOIN practitioner_role_date AS within ON within.key = role.key AND within.parameter = 'date'
  UNION ALL
  SELECT key, min(coalesce(low, '-infinity')), max(coalesce(high, 'infinity')) FROM working WHERE works GROUP BY key, id
), horizon AS (
  SELECT key, max(low) AS first, min(high) AS last FROM period GROUP BY key
), state AS MATERIALIZED (
  SELECT schedule.key AS schedule_key,
    NOT schedule.deleted AND NOT schedule.terms @> ARRAY['active=false']
      AND NOT EXISTS (SELECT FROM named WHERE named.key = schedule.key AND {_GONE})
      AND schedule.key NOT IN (SELECT key FROM idle) AS open,
    coalesce({_BY_ITS_CLOCK.format(bound="horizon.first")}, '-infinity') AS horizon_start,
    coalesce({_BY_ITS_CLOCK.format(bound="horizon.last")}, 'infinity') AS horizon_end
  FROM schedule LEFT JOIN horizon USING (key) LEFT JOIN (SELECT schedule_key AS key, zone FROM agenda) AS clock USING (key)
  WHERE schedule.key = ANY($1)
)
INSERT INTO agenda (schedule_key, open, horizon_start, horizon_end)
SELECT * FROM (SELECT * FROM state EXCEPT
  SELECT schedule_key, open, horizon_start, horizon_end FROM agenda WHERE schedule_key = ANY($1)) AS changed
ORDER BY schedule_key
ON CONFLICT (schedule_key) DO UPDATE
SET open = excluded.open, horizon_start = excluded.horizon_start, horizon_end = excluded.horizon_end
RETURNING schedule_key, (new.open
  AND (NOT old.open OR new.horizon_start < old.horizon_start OR new.horizon_end > old.horizon_end)) IS TRUE AS is_wider
"""
_WANTED = f"""wanted AS MATERIALIZED (
  SELECT key, type || '/' || id AS actor FROM named WHERE type IN ('Practitioner', 'Device')
  UNION
  SELECT named.key, substr(t, 14) FROM named
  JOIN practitioner_role AS role ON named.type = 'PractitionerRole' AND role.id = named.id
  CROSS JOIN LATERAL unnest(role.terms) AS t WHERE starts_with(t, 'practitioner=Practitioner/')
  UNION
  SELECT named.key, 'Location/' || place.id FROM named
  JOIN location AS place ON named.type = 'Location' AND place.id = named.id
  WHERE place.content IS NOT NULL AND {ROOM.format(place="place")}
)"""
_CHANGING = f"""
WITH {_NAMED}, {_WANTED}, had AS (
  SELECT schedule_key AS key, actor FROM agenda_actor WHERE schedule_key = ANY($1)
)
SELECT key, actor, had.key IS NULL AS joins FROM wanted FULL JOIN had USING (key, actor)
WHERE (wanted.key IS NULL OR had.key IS NULL) AND EXISTS (SELECT FROM agenda WHERE schedule_key = key)
ORDER BY 1, 2
"""
"""The people who join or leave those of these agendas ($1: keys) that exist already."""
_KEEP_ACTORS = f"""
WITH {_NAMED}, {_WANTED}, left_out AS (
  DELETE FROM agenda_actor WHERE schedule_key = ANY($1)
  AND (schedule_key, actor) NOT IN (SELECT key, actor FROM wanted) RETURNING schedule_key
), added AS (
  INSERT INTO agenda_actor (schedule_key, actor) SELECT key, actor FROM wanted ORDER BY 1, 2
  ON CONFLICT DO NOTHING RETURNING schedule_key
)
SELECT DISTINCT schedule_key FROM (SELECT * FROM left_out UNION ALL SELECT * FROM added) AS changed ORDER BY 1
"""
_REJUDGE = f"""
WITH judged AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id, {JUDGED.format(slot="slot", besides="''")} AS status
  FROM slot WHERE slot.schedule_key = ANY($1) AND slot.taken_by IS NULL
), stale AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id, judged.status FROM slot JOIN judged USING (schedule_key, start, id)
  WHERE slot.status <> judged.status ORDER BY 1, 2, 3 FOR UPDATE OF slot
), changed AS (
  UPDATE slot SET status = stale.status, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $2)
  FROM stale WHERE (slot.schedule_key, slot.start, slot.id) = (stale.schedule_key, stale.start, stale.id)
  RETURNING {SUPERSEDED}, {AWAITED.format(slot="new")} AS awaited, new.start AS starts
), superseded AS (
  {SUPERSEDE} SELECT {SUPERSEDED_COLUMNS} FROM changed
)
SELECT id, starts AS start, awaited FROM changed WHERE awaited
"""


_DEPENDING = """
SELECT key FROM schedule WHERE terms && (
  SELECT array_agg('actor=' || ref) FROM (
    SELECT unnest($1::text[]) AS ref
    UNION ALL SELECT 'PractitionerRole/' || id FROM practitioner_role WHERE terms && $2
    UNION ALL SELECT substr(t, 14) FROM practitioner_role AS role, unnest(role.terms) AS t
      WHERE role.terms && $2 AND starts_with(t, 'practitioner=Practitioner/')
    UNION ALL SELECT 'HealthcareService/' || id FROM healthcare_service WHERE terms && $2
    UNION ALL SELECT 'Location/' || id FROM location WHERE terms && $2
    UNION ALL SELECT 'Device/' || id FROM device WHERE terms && $2
  ) AS named) ORDER BY key
"""

_AT = """
WITH RECURSIVE parts (id) AS (
  SELECT substr($1::text, 10) COLLATE "C"
  UNION SELECT part.id FROM parts JOIN location AS part ON part.terms && ARRAY['partof=Location/' || parts.id])
SELECT key FROM schedule WHERE terms && (
  SELECT array_agg('actor=' || ref) FROM (
    SELECT 'Location/' || id AS ref FROM parts
    UNION ALL SELECT 'PractitionerRole/' || id FROM practitioner_role
      WHERE terms && ARRAY(SELECT 'location=Location/' || id FROM parts)
    UNION ALL SELECT substr(t, 14) FROM practitioner_role AS role, unnest(role.terms) AS t
      WHERE role.terms && ARRAY(SELECT 'location=Location/' || id FROM parts)
        AND starts_with(t, 'practitioner=Practitioner/')
    UNION ALL SELECT 'HealthcareService/' || id FROM healthcare_service
      WHERE terms && ARRAY(SELECT 'location=Location/' || id FROM parts)
    UNION ALL SELECT 'Device/' || id FROM device WHERE terms && ARRAY(SELECT 'location=Location/' || id FROM parts)
  ) AS named) ORDER BY key
"""
"""The agendas at a place, or in a part of it ($1: reference)."""

THERE_OR_GONE = {
    "Practitioner": f"SELECT {_INACTIVE.format(row='practitioner')} FROM practitioner WHERE id = $1",
    "Organization": f"SELECT {_INACTIVE.format(row='organization')} FROM organization WHERE id = $1",
}
"""Types of actors of which agendas depend only on whether they have gone: SQL that tells that."""
_GONE_WITH_ALL_IN_IT = f"SELECT {_PLACE_GONE.format(id='$1::text')}"
RULES = "hashtextextended('agenda rules', 0)"
"""The advisory lock of the facts of agendas: shared for writers of a Schedule, exclusive for writers of agendas because of
what the directory says."""


async def alone(connection: Connection) -> None:
    """Waits until nobody else writes the facts of agendas."""
    await connection.execute(f"SELECT pg_advisory_xact_lock({RULES})")


async def beside_others(connection: Connection) -> None:
    """Waits until nobody writes agendas because of what the directory says; others may write Schedules meanwhile. To call
    before any row of `schedule` is locked."""
    await connection.execute(f"SELECT pg_advisory_xact_lock_shared({RULES})")


async def keep_agendas(
    connection: Connection, schedules: Sequence[int], now: datetime, *, strict: bool, resized: bool = False
) -> None:
    """Brings the rows of these agendas (keys) up to date with their Schedules and the directory. What is taken in them to
    come takes the people and rooms that they have now. `strict`: raises JoiningTaken if one of these is elsewhere then;
    otherwise logs what cannot be taken, and leaves it. `resized`: the number of places changes too, and nobody takes or frees
    them from here on: people are waited for once, those of now and those who join."""
    if not schedules:
        return
    keys = sorted(set(schedules))
    changing = await connection.fetch(_CHANGING, keys)
    people = Hands(
        frozenset(keys if resized else (row["key"] for row in changing)),
        joining=frozenset(row["actor"] for row in changing if row["joins"]),
        leaving=frozenset(row["actor"] for row in changing if not row["joins"]),
    )
    if people.agendas:
        await stop_for(connection, people, now)
    await keep_state(connection, keys, now)
    rows = await connection.fetch(_KEEP_ACTORS, keys)
    changed = [row["schedule_key"] for row in rows]
    if changed:
        await write_beside(connection, changed)
        if changing:
            await hand_over_what_is_taken(connection, people, now, strict=strict)
            changed += await agendas_with(connection, people)
        await rejudge(connection, changed, now)


async def keep_state(connection: Connection, schedules: Sequence[int], now: datetime) -> None:
    """Brings up to date whether these agendas (keys) are open, and when: days are those of their clock."""
    rows = await connection.fetch(_KEEP_STATE, list(schedules))
    await note_agendas(connection, [row["schedule_key"] for row in rows if row["is_wider"]], now)


async def rejudge(connection: Connection, schedules: Sequence[int], now: datetime) -> None:
    """Recomputes the status of slots of these agendas (keys) that nobody has, by what the agenda says and whether its people
    are taken. To call while nobody takes or frees them."""
    note_awaited(connection, await connection.fetch(_REJUDGE, sorted(set(schedules)), now), now)


async def is_gone(connection: Connection, reference: str) -> bool:
    """Whether a person, an organisation or a place has gone, as far as the directory has said; False for other types."""
    kind, _, id_ = reference.partition("/")
    asked = {**THERE_OR_GONE, "Location": _GONE_WITH_ALL_IN_IT}.get(kind)
    return asked is not None and bool(await connection.fetchval(asked, id_))


async def actor_stated(
    connection: Connection, reference: str, named: Sequence[str], now: datetime, *, was_gone: bool
) -> None:
    """Brings agendas up to date after the directory has said something of an actor, or of the organisation of one.

    `named`: the references by which agendas may depend on the actor (`agendas.working_places.named_with`). `was_gone`:
    `is_gone`, before the directory said so. Of people and organisations nothing else matters, and such changes are rare.
    Then, as with other actors, nobody writes a Schedule meanwhile that would not know of the change.
    """
    kind = reference.partition("/")[0]
    if kind not in STATED:
        return
    if kind in THERE_OR_GONE:
        if await is_gone(connection, reference) == was_gone:
            return
        await alone(connection)
    through = [f"{kind.lower()}={reference}"] if kind in ("Organization", "Practitioner") else []
    if kind == "Location" and await is_gone(connection, reference) != was_gone:
        rows = await connection.fetch(_AT, reference)
    else:
        rows = await connection.fetch(_DEPENDING, list(named), through)
    await keep_agendas(connection, [row["key"] for row in rows], now, strict=False)
