"""Taking and giving back: slots, and the time of people, rooms and devices, in SQL. Nothing is checked and then written.

Everybody who claims, moves or frees locks in one order: the people whose time it is, then the slots. Slots of others in
that time become unavailable, or free again, in the same statement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creneau_booking.domain.appointment import Appointment, SlotFact
from creneau_booking.domain.rules import Claim, Cut
from creneau_booking.domain.status import SlotStatus
from creneau_booking.storage.appointment_mapper import offered
from creneau_booking.storage.availability.actors import (
    CONCERNED,
    RESOLVED,
    TURN,
    by_kind,
)
from creneau_booking.storage.availability.rule import JUDGED
from creneau_booking.storage.patients import UNAVAILABLE
from creneau_booking.storage.slot_rows import SUPERSEDE, SUPERSEDED, slot_key
from creneau_booking.storage.slot_visibility import VISIBILITY_TERM
from creneau_shared.database.partitions import add_months, month_of
from creneau_shared.database.pool import Connection
from creneau_shared.ids import new_id
from creneau_shared.security.rights import OWNER

# A slot that another appointment has, whose hold has not run out, or that its agenda does not offer: whoever wants it is
# refused whatever happens meanwhile, and so need not wait for their turn.
_FOUND = """
WITH found AS MATERIALIZED (
  SELECT schedule_key, start, id, CASE WHEN taken_by IS NULL THEN said <> 'free' ELSE taken_by <> $2 AND NOT EXISTS (
      SELECT FROM hold WHERE hold.appointment_id = slot.taken_by AND hold.expires_at <= $3) END AS out_of_reach
  FROM {slots} AS slot WHERE id = ANY((SELECT $1::uuid[])::uuid[])
)"""
_FACTS = """
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end", slot.status::text AS status, slot.taken_by,
       slot.said = 'free' AND slot.status = 'busy-unavailable' AS displaced, {out_of_reach} AS out_of_reach,
       kind.terms AS kind_terms, kind.members AS kind_members,
       schedule.id AS schedule, schedule.terms AS schedule_terms, agenda.open,
       nullif(agenda.horizon_start, '-infinity') AS horizon_start, nullif(agenda.horizon_end, 'infinity') AS horizon_end,
       ARRAY(SELECT actor FROM agenda_actor WHERE agenda_actor.schedule_key = agenda.schedule_key ORDER BY 1) AS exclusive{more}
FROM found
JOIN {slots} AS slot ON (slot.schedule_key, slot.start, slot.id) = (found.schedule_key, found.start, found.id)
JOIN slot_kind kind ON kind.key = slot.kind_key
JOIN schedule ON schedule.key = slot.schedule_key
JOIN agenda ON agenda.schedule_key = slot.schedule_key
"""
_OUT_OF_REACH = "EXISTS (SELECT FROM found WHERE out_of_reach)"
# Of each Patient who is there: the id, and after it to whom they are known. Of each role and room: who is taken with it.
# Of whoever holds: how many live holds they have.
_BESIDE = f"""ARRAY(
  SELECT patient.id || ' ' || array_to_string(ARRAY(
    SELECT term FROM unnest(patient.terms) AS term WHERE starts_with(term, '{OWNER}')), ' ')
  FROM patient WHERE patient.id = ANY($5::text[]) AND NOT patient.deleted) AS patients,
ARRAY(SELECT named || ' ' || exclusive FROM resolved) AS resolved,
(SELECT count(*) FROM hold WHERE hold.issuer = $8 AND hold.subject = $9 AND hold.expires_at > $3) AS holds"""
# Locked all of them, or none: who has locked some would lock the others, and their people, out of order. PostgreSQL takes
# the locks of `turn` before it looks for a row of `locked`.
_LOCK = f"""{_FOUND}, resolved AS MATERIALIZED (
  {RESOLVED.format(roles="$6::text[]", places="$7::text[]")}
), own_people AS MATERIALIZED (
  SELECT actor FROM (
    SELECT actor FROM agenda_actor WHERE schedule_key IN (SELECT schedule_key FROM found)
    UNION SELECT unnest($4::text[]) UNION SELECT exclusive FROM resolved
  ) AS named WHERE {{whole}}
), turn AS MATERIALIZED (
  SELECT count(pg_advisory_xact_lock({TURN.format(actor="actor")})) AS waited
  FROM {CONCERNED.format(people="own_people")} AS people
), locked AS MATERIALIZED (
  {_FACTS.format(out_of_reach="false", slots="{slots}", more="")} CROSS JOIN turn
  WHERE {{whole}} AND turn.waited >= 0
  ORDER BY slot.schedule_key, slot.start, slot.id
  FOR UPDATE OF slot
)
SELECT *, {_BESIDE} FROM locked
UNION ALL {_FACTS.format(out_of_reach="true", slots="{slots}", more=f", {_BESIDE}")} WHERE {_OUT_OF_REACH}
"""
_LOCK_ANYWHERE = _LOCK.format(slots="slot", whole=f"NOT {_OUT_OF_REACH}")
_LOCK_IN_MONTH = _LOCK.format(
    slots="{slots}",
    whole=f"NOT {_OUT_OF_REACH} AND (SELECT count(*) FROM found) = cardinality($1::uuid[])",
)

_DISPLACED_BY_OTHERS = f"""
SELECT coalesce(name, id::text) AS id FROM slot
WHERE id = ANY($1::uuid[]) AND {JUDGED.format(slot="slot", besides="$2::text")} <> 'free'
"""
_IN_THAT_TIME = """
  SELECT slot.schedule_key, slot.start, slot.id, slot."end" FROM {people}
  JOIN agenda_actor USING (actor) JOIN agenda USING (schedule_key)
  JOIN {slots} AS slot ON slot.schedule_key = agenda_actor.schedule_key
    AND slot.start < {until} AND slot."end" > {begin} AND slot.start > {begin} - agenda.slot_length_max
  WHERE slot.taken_by IS NULL AND slot.said = 'free' AND slot.status = '{status}'
"""
_FULL_KEY = "(slot.schedule_key, slot.start, slot.id) = ({row}.schedule_key, {row}.start, {row}.id)"

_OCCUPY = """
INSERT INTO occupancy (appointment_id, actor, period)
SELECT $1, actor, tstzrange($2, $3) FROM unnest($4::text[]) WITH ORDINALITY AS wanted (actor, place) ORDER BY place
ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING RETURNING actor
"""
# All statements here ask in a way that the planner cannot look into: whom and when it is about makes no plan look better
# than another, and after the first few calls one plan serves them all. Planned anew over all months, each takes 3 to 5 ms.
_BEGIN, _UNTIL = "(SELECT $2::timestamptz)", "(SELECT $3::timestamptz)"
_PEOPLE = "unnest((SELECT $4::text[])) AS person (actor)"
_DISPLACE = f"""
  UPDATE {{slots}} AS slot SET status = 'busy-unavailable', version = slot.version + 1, last_updated = $7
  FROM (
    SELECT DISTINCT schedule_key, start, id FROM (
      {_IN_THAT_TIME.format(people=_PEOPLE, begin=_BEGIN, until=_UNTIL, status="free", slots="{slots}")}
    ) AS near WHERE (schedule_key, start, id) NOT IN (SELECT schedule_key, start, id FROM wanted)
  ) AS near WHERE {_FULL_KEY.format(row="near")}
  RETURNING {SUPERSEDED}
"""
_TAKE = f"""
WITH wanted AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id FROM {{slots}} AS slot
  JOIN unnest((SELECT $5::uuid[]), (SELECT $8::timestamptz[])) AS named (id, start)
    ON slot.id = named.id AND slot.start = named.start
), claimed AS (
  UPDATE {{slots}} AS slot SET status = $6, taken_by = $1, version = slot.version + 1, last_updated = $7
  FROM wanted WHERE {_FULL_KEY.format(row="wanted")} AND slot.status = 'free'
    AND EXISTS (SELECT FROM agenda WHERE agenda.schedule_key = wanted.schedule_key AND agenda.open)
  RETURNING {SUPERSEDED}
), displaced AS ({_DISPLACE}), superseded AS (
  {SUPERSEDE} SELECT * FROM claimed UNION ALL SELECT * FROM displaced
), taken AS ({_OCCUPY})
SELECT (SELECT count(*) FROM claimed) AS claimed, (SELECT coalesce(array_agg(actor), '{{{{}}}}') FROM taken) AS taken,
  {UNAVAILABLE.format(ids="(SELECT $9::text[])::text[]")} AS unavailable,
  EXISTS (
    SELECT FROM {_PEOPLE} JOIN agenda_actor USING (actor) JOIN agenda USING (schedule_key)
    WHERE $2::timestamptz - slot_length_max < $10::timestamptz) AS reaches_back
"""
# Where somebody's agenda has slots so long that one of the month before may reach into the time that was taken.
_DISPLACE_BEFORE = f"""
WITH wanted AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id FROM slot
  JOIN unnest($5::uuid[], $6::timestamptz[]) AS named (id, start) ON slot.id = named.id AND slot.start = named.start
), displaced AS ({_DISPLACE.format(slots="slot").replace("$7", "$1::timestamptz")})
{SUPERSEDE} SELECT * FROM displaced
"""
_OCCUPY_TOO = f"""
WITH taken AS ({_OCCUPY}), displaced AS (
  UPDATE slot SET status = 'busy-unavailable', version = slot.version + 1, last_updated = $5
  FROM (
    SELECT DISTINCT schedule_key, start, id FROM (
      {_IN_THAT_TIME.format(people="taken", begin="$2", until="$3", status="free", slots="slot")}
    ) AS near
  ) AS near WHERE {_FULL_KEY.format(row="near")}
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM displaced
)
SELECT actor FROM taken
"""
_CUT = f"""
WITH whole AS MATERIALIZED (
  SELECT slot.*, cut.begin, cut.until, cut.before, cut.after
  FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::uuid[])
    AS cut (id, start, begin, until, before, after)
  JOIN slot ON slot.id = cut.id AND slot.start = cut.start
), part AS (
  UPDATE slot SET start = whole.begin, "end" = whole.until, version = slot.version + 1, last_updated = $7
  FROM whole WHERE {_FULL_KEY.format(row="whole")}
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM part
)
INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)
SELECT rest.id, rest.start, rest.until, schedule_key, kind_key, $7, 1, status, said
FROM whole CROSS JOIN LATERAL (
  VALUES (before, whole.start, begin), (after, whole.until, whole."end")) AS rest (id, start, until)
WHERE rest.start < rest.until
"""
_AGENDAS = """ARRAY(
  SELECT DISTINCT 'Schedule/' || schedule.id FROM own JOIN schedule ON schedule.key = own.schedule_key ORDER BY 1
) AS schedules"""
_GIVE_BACK = f"""
WITH own AS MATERIALIZED (
  SELECT schedule_key, start, id FROM slot WHERE id = ANY((SELECT $2::uuid[])::uuid[]) AND taken_by = $1
  ORDER BY 1, 2, 3 FOR UPDATE
), freed AS (
  UPDATE slot SET status = {JUDGED.format(slot="slot", besides="$1")}, taken_by = NULL,
    version = slot.version + 1, last_updated = $3
  FROM own WHERE {_FULL_KEY.format(row="own")}
  RETURNING {SUPERSEDED}
), time AS MATERIALIZED (
  SELECT actor, lower(period) AS begin, upper(period) AS until FROM occupancy WHERE appointment_id = $1
), replaced AS (
  UPDATE slot SET status = 'free', version = slot.version + 1, last_updated = $3
  FROM (SELECT DISTINCT schedule_key, start, id FROM (
      {_IN_THAT_TIME.format(people="time", begin="time.begin", until="time.until", status="busy-unavailable", slots="slot")}
    ) AS near) AS near
  WHERE {_FULL_KEY.format(row="near")} AND {JUDGED.format(slot="slot", besides="$1")} = 'free'
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM freed UNION ALL SELECT * FROM replaced
), nobody AS (
  DELETE FROM occupancy WHERE appointment_id = $1
)
SELECT {_AGENDAS}
"""
_SET_STATUS = f"""
WITH own AS MATERIALIZED (
  SELECT schedule_key, start, id FROM slot
  WHERE id = ANY((SELECT $1::uuid[])::uuid[]) AND taken_by = $4 AND status <> (SELECT $2::slot_status)
  ORDER BY 1, 2, 3 FOR UPDATE
), changed AS (
  UPDATE slot SET status = $2::slot_status, version = slot.version + 1, last_updated = $3
  FROM own WHERE {_FULL_KEY.format(row="own")}
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM changed
)
SELECT {_AGENDAS}
"""


Holder = tuple[str, str]
"""an account or a client: issuer and subject"""


@dataclass(frozen=True, slots=True)
class Locked:
    """What was locked: slots with what they are, and which Patients of those who were named are there."""

    slots: Sequence[SlotFact]
    out_of_reach: bool
    """one of the slots is somebody else's; nothing is locked"""
    patients: Mapping[str, frozenset[str]] | None
    """id → to whom the Patient is known (Organization ids); None where nobody looked, as no slot is there"""
    resolved: Mapping[str, str] | None
    """as `actors.resolve`, of those who were named; None like `patients`"""
    holds: int
    """how many holds that have not run out the holder has; 0 without one"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim got: whether every slot was still free, the actors whom someone else has, and the Patients (ids) for
    whom nothing can be booked: deleted, inactive or deceased."""

    all_slots: bool
    missing_actors: tuple[str, ...]
    unavailable_patients: tuple[str, ...]


async def lock_slots(
    connection: Connection,
    ids: Sequence[str],
    near: datetime | None,
    people: Sequence[str],
    patients: Sequence[str],
    named: Sequence[str],
    holder: Holder | None,
    *,
    by: str,
    now: datetime,
) -> Locked:
    """The facts of these slots, locked for the appointment `by` (id), and with them the time of their agendas' people and
    of `people` (actors that are in one place only); slots that do not exist are missing. Or the facts as they are, and
    nothing locked: one is out of reach because somebody else has it. So a thousand who want one slot are refused side by
    side. `patients` (ids) are looked up beside, and who is taken with the roles and places that are `named` (references),
    and how many slots the `holder` holds.

    `near`, the appointment's own start, lets PostgreSQL look into one month; slots that are not all found there are looked
    for everywhere.
    """
    keys = [slot_key(id_) for id_ in ids]
    arguments = (keys, by, now, list(people), list(patients), *by_kind(named), *(holder or (None, None)))
    month = month_of(connection, "slot", near, near, now) if near is not None else "slot"
    rows: Sequence[Any] = []
    if keys and month != "slot":
        rows = await connection.fetch(_LOCK_IN_MONTH.format(slots=month), *arguments)
    if len(rows) < len(keys) or not keys:
        rows = await connection.fetch(_LOCK_ANYWHERE, *arguments)
    if len(rows) < len(keys):
        # One whose kind or time a feed has written meanwhile is locked, and left out: PostgreSQL joins it as it was.
        rows = await connection.fetch(_LOCK_ANYWHERE, *arguments)
    return Locked(
        [_slot_fact(row) for row in rows],
        any(row["out_of_reach"] for row in rows),
        dict(map(_known, rows[0]["patients"])) if rows else None,
        dict(pair.split() for pair in rows[0]["resolved"]) if rows else None,
        rows[0]["holds"] if rows else 0,
    )


def _known(patient: str) -> tuple[str, frozenset[str]]:
    """The id, and the owners of the terms that follow it."""
    id_, *owners = patient.split()
    return id_, frozenset(owner.removeprefix(OWNER) for owner in owners)


async def displaced_by_others(
    connection: Connection, slots: Sequence[str], appointment_id: str
) -> frozenset[str]:
    """Those of these slots in whose time somebody of their agenda is taken by another appointment than this one."""
    rows = await connection.fetch(_DISPLACED_BY_OTHERS, [slot_key(id_) for id_ in slots], appointment_id)
    return frozenset(row["id"] for row in rows)


def _slot_fact(row: Any) -> SlotFact:
    actors = (
        term[6:]
        for term in row["schedule_terms"]
        if term.startswith("actor=") and "/" in term and "/_history/" not in term
    )
    return SlotFact(
        id=row["id"],
        start=row["start"],
        end=row["end"],
        status=row["status"],
        taken_by=row["taken_by"],
        displaced=row["displaced"],
        schedule=row["schedule"],
        schedule_open=row["open"],
        horizon_start=row["horizon_start"],
        horizon_end=row["horizon_end"],
        actors=tuple(sorted(actors)),
        exclusive=tuple(row["exclusive"]),
        visibility=frozenset(
            term.removeprefix(VISIBILITY_TERM)
            for term in row["kind_terms"]
            if term.startswith(VISIBILITY_TERM)
        )
        - {""},
        offers=offered(json.loads("{" + row["kind_members"] + "}")),
        owners=frozenset(
            term.removeprefix(OWNER) for term in row["schedule_terms"] if term.startswith(OWNER)
        ),
    )


async def take(connection: Connection, wanted: Appointment, claim: Claim, now: datetime) -> Taken:
    """Take the slots and the people of `claim` for `wanted`. The caller raises when that was not all: raising undoes it."""
    if claim.cuts:
        await _cut(connection, claim.cuts, now)
    cuts = {cut.slot.id: cut.start for cut in claim.cuts}
    starts = [cuts.get(slot.id, slot.start) for slot in claim.new_slots]
    month = month_of(connection, "slot", min((claim.start, *starts)), max((claim.end, *starts)), now)
    actors, slots = list(claim.actors), [slot_key(slot.id) for slot in claim.new_slots]
    row = await connection.fetchrow(
        _TAKE.format(slots=month),
        wanted.id,
        claim.start,
        claim.end,
        actors,
        slots,
        claim.slot_status,
        now,
        starts,
        [reference.removeprefix("Patient/") for reference in wanted.patients],
        add_months(claim.start, 0) if month != "slot" else None,
    )
    assert row is not None
    if row["reaches_back"]:
        await connection.execute(_DISPLACE_BEFORE, now, claim.start, claim.end, actors, slots, starts)
    missing = sorted(set(claim.actors) - set(row["taken"]))
    return Taken(
        all_slots=row["claimed"] == len(claim.new_slots),
        missing_actors=tuple(missing),
        unavailable_patients=tuple(row["unavailable"]),
    )


async def _cut(connection: Connection, cuts: Sequence[Cut], now: datetime) -> None:
    """Shorten locked slots to the parts that are taken; the rest of their time becomes slots of its own."""
    await connection.execute(
        _CUT,
        [slot_key(cut.slot.id) for cut in cuts],
        [cut.slot.start for cut in cuts],
        [cut.start for cut in cuts],
        [cut.end for cut in cuts],
        [new_id() for _ in cuts],
        [new_id() for _ in cuts],
        now,
    )


async def occupy(
    connection: Connection, appointment_id: str, actors: Sequence[str], claim: Claim, now: datetime
) -> tuple[str, ...]:
    """Take these people, too, for the claim's period; those who are taken by someone else."""
    rows = await connection.fetch(_OCCUPY_TOO, appointment_id, claim.start, claim.end, list(actors), now)
    return tuple(sorted(set(actors) - {row["actor"] for row in rows}))


async def give_back(
    connection: Connection, appointment_id: str, slots: Sequence[str], now: datetime
) -> tuple[str, ...]:
    """Give back those of the slots that an appointment has, and the time of its people. What their agendas say of them
    holds again; other slots in that time are free again, unless somebody else is taken then.
    The agendas (references) of what it gave back."""
    keys = [slot_key(id_) for id_ in slots]
    row = await connection.fetchrow(_GIVE_BACK, appointment_id, keys, now)
    return tuple(row["schedules"]) if row is not None else ()


async def set_status(
    connection: Connection, appointment_id: str, slots: Sequence[str], status: SlotStatus, now: datetime
) -> tuple[str, ...]:
    """Give those of the slots that an appointment has another status; the agendas (references) of those that had not."""
    keys = [slot_key(id_) for id_ in slots]
    row = await connection.fetchrow(_SET_STATUS, keys, status, now, appointment_id)
    return tuple(row["schedules"]) if row is not None else ()
