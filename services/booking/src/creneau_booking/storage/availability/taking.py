"""Takes and gives back slots, and the time of people, rooms and devices, in SQL: each statement checks as it writes.

Everybody who claims, moves or frees locks in one order: the people whose time it is, then the slots. The same statement
makes the slots of others in that time unavailable, or free again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from uuid import UUID

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.rules import Claim, Cut
from creneau_booking.domain.status import SlotStatus
from creneau_booking.storage.availability.freed import IS_AWAITED, note_freed
from creneau_booking.storage.availability.groups import (
    beside_agenda,
    claim_places,
    group_of,
    named_by_others,
    release_places,
)
from creneau_booking.storage.availability.overbookings import left
from creneau_booking.storage.availability.rule import JUDGED, KEEP_CLOSED, UNDER_CLOSURES
from creneau_booking.storage.mapping.places import GROUP
from creneau_booking.storage.mapping.slot import IS_OVERBOOKED, SUPERSEDE, SUPERSEDED, slot_key
from creneau_booking.storage.people.patients import UNAVAILABLE
from creneau_shared.database.partitions import add_months, month_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.terms import after
from creneau_shared.ids import new_id
from creneau_shared.security.rights import OWNER

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
# All statements here hide their values from the planner: no value makes one plan look better than another, and after the
# first few calls one plan serves them all. Planned anew over all months, each takes 3 to 5 ms.
_BEGIN, _UNTIL = "(SELECT $2::timestamptz)", "(SELECT $3::timestamptz)"
_PEOPLE = "unnest((SELECT $4::text[])) AS person (actor)"
_GONE = "unnest($1::text[]) AS person (actor)"
_DISPLACE = f"""
  UPDATE {{slots}} AS slot SET status = 'busy-unavailable', version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $7)
  FROM (
    SELECT DISTINCT schedule_key, start, id FROM (
      {_IN_THAT_TIME.format(people=_PEOPLE, begin=_BEGIN, until=_UNTIL, status="free", slots="{slots}")}
    ) AS near WHERE (schedule_key, start, id) NOT IN (SELECT schedule_key, start, id FROM wanted)
  ) AS near WHERE {_FULL_KEY.format(row="near")}
  RETURNING {SUPERSEDED}
"""
# What the scheduler has marked for an appointment is given back with it, unless the practice has closed that time.
_MARK_ENDED = UNDER_CLOSURES.format(
    said="'free'::slot_status", schedule_key="{row}.schedule_key", start="{row}.start", until='{row}."end"'
)
_MARKED = f"""(
  SELECT schedule_key, start, id, 'free'::slot_status AS asked, {_MARK_ENDED.format(row="claimed")} AS said
  FROM claimed WHERE status = 'busy-tentative'
) AS marked"""
_TAKE = f"""
WITH wanted AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id FROM {{slots}} AS slot
  JOIN unnest((SELECT $5::uuid[]), (SELECT $8::timestamptz[])) AS named (id, start)
    ON slot.id = named.id AND slot.start = named.start
), claimed AS (
  UPDATE {{slots}} AS slot SET status = $6, taken_by = $1, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $7),
    said = CASE WHEN slot.said = 'busy-tentative' THEN {_MARK_ENDED.format(row="slot")} ELSE slot.said END
  FROM wanted WHERE {_FULL_KEY.format(row="wanted")}
    AND (slot.status = 'free' OR ($11 AND slot.status = 'busy-tentative' AND slot.taken_by IS NULL))
    AND EXISTS (SELECT FROM agenda WHERE agenda.schedule_key = wanted.schedule_key AND agenda.open)
  RETURNING {SUPERSEDED}
), closed AS ({KEEP_CLOSED.format(slots=_MARKED)}), displaced AS ({_DISPLACE}), superseded AS (
  {SUPERSEDE} SELECT * FROM claimed UNION ALL SELECT * FROM displaced
), taken AS ({_OCCUPY})
SELECT (SELECT count(*) FROM claimed) AS claimed, (SELECT coalesce(array_agg(actor), '{{{{}}}}') FROM taken) AS taken,
  {UNAVAILABLE.format(ids="(SELECT $9::text[])::text[]")} AS unavailable,
  -- Whose the agendas are now: the directory may have said so while the slots were waited for.
  ARRAY(SELECT owner FROM schedule, unnest(schedule.terms) AS owner
    WHERE schedule.id = ANY((SELECT $12::text[])::text[]) AND starts_with(owner, '{OWNER}')) AS owners,
  -- And whose time: their agenda may have been given to others.
  ARRAY(SELECT DISTINCT actor FROM schedule JOIN agenda_actor ON schedule_key = schedule.key
    WHERE schedule.id = ANY((SELECT $12::text[])::text[])) AS people,
  EXISTS (
    SELECT FROM {_PEOPLE} JOIN agenda_actor USING (actor) JOIN agenda USING (schedule_key)
    WHERE $2::timestamptz - slot_length_max < $10::timestamptz) AS reaches_back
"""
# For agendas with slots so long that one of the month before may reach into the time that was taken.
_DISPLACE_BEFORE = f"""
WITH wanted AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id FROM slot
  JOIN unnest($5::uuid[], $6::timestamptz[]) AS named (id, start) ON slot.id = named.id AND slot.start = named.start
), displaced AS ({_DISPLACE.format(slots="slot").replace("$7", "$1::timestamptz")})
{SUPERSEDE} SELECT * FROM displaced
"""
_OCCUPY_TOO = f"""
WITH taken AS ({_OCCUPY}), displaced AS (
  UPDATE slot SET status = 'busy-unavailable', version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $5)
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
  -- Of what a visit has: a visit beside it keeps the whole, and what its agenda does not offer would be nobody's to give.
  WHERE slot.taken_by IS NULL OR (slot.said = 'free' AND NOT {IS_OVERBOOKED.format(slot="slot")})
), part AS (
  UPDATE slot SET start = whole.begin, "end" = whole.until, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $7),
    generated = NULL
  FROM whole WHERE {_FULL_KEY.format(row="whole")}
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM part
)
INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)
SELECT id, start, "end", schedule_key, kind_key, $7, 1,
  CASE WHEN taken_by IS NULL THEN status ELSE {JUDGED.format(slot="rest", besides="rest.taken_by")} END, said
FROM (
  SELECT part.*, schedule_key, kind_key, status, said, taken_by FROM whole CROSS JOIN LATERAL (
    VALUES (before, whole.start, begin), (after, whole.until, whole."end")) AS part (id, start, "end")
) AS rest WHERE start < "end"
RETURNING id, start
"""
_AGENDAS = """ARRAY(
  SELECT DISTINCT 'Schedule/' || schedule.id FROM own JOIN schedule ON schedule.key = own.schedule_key ORDER BY 1
) AS schedules"""
_GIVE_BACK = f"""
WITH own AS MATERIALIZED (
  SELECT schedule_key, start, id FROM slot WHERE id = ANY((SELECT $2::uuid[])::uuid[]) AND taken_by = $1
  ORDER BY 1, 2, 3 FOR UPDATE
), freed AS (
  UPDATE slot SET status = {JUDGED.format(slot="slot", besides="$1")}, taken_by = NULL, places = NULL,
    version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $3)
  FROM own WHERE {_FULL_KEY.format(row="own")}
  RETURNING {SUPERSEDED}
), time AS MATERIALIZED (
  SELECT actor, lower(period) AS begin, upper(period) AS until FROM occupancy WHERE appointment_id = $1
), replaced AS (
  UPDATE slot SET status = 'free', version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $3)
  FROM (SELECT DISTINCT schedule_key, start, id FROM (
      {_IN_THAT_TIME.format(people="time", begin="time.begin", until="time.until", status="busy-unavailable", slots="slot")}
    ) AS near) AS near
  WHERE {_FULL_KEY.format(row="near")} AND {JUDGED.format(slot="slot", besides="$1")} = 'free'
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM freed UNION ALL SELECT * FROM replaced
), nobody AS (
  DELETE FROM occupancy WHERE appointment_id = $1
), awaited AS MATERIALIZED (
  SELECT free.id, free.start FROM (SELECT * FROM freed UNION ALL SELECT * FROM replaced) AS free
  JOIN schedule ON schedule.key = free.schedule_key JOIN slot_kind AS kind ON kind.key = free.kind_key
  WHERE {IS_AWAITED}
)
SELECT {_AGENDAS}, ARRAY(SELECT id FROM awaited ORDER BY start, id) AS awaited,
  ARRAY(SELECT start FROM awaited ORDER BY start, id) AS starts, EXISTS (
  SELECT FROM slot WHERE id = ANY((SELECT $2::uuid[])::uuid[]) AND {IS_OVERBOOKED.format(slot="slot")}
) AS overbooked,
  EXISTS (SELECT FROM slot_place WHERE appointment_id = $1) AS shares
"""
_LET_GO = """
DELETE FROM occupancy WHERE appointment_id = $1 AND actor = ANY($2::text[])
RETURNING lower(period) AS begin, upper(period) AS until
"""
_FREE_AGAIN = f"""
WITH replaced AS (
  UPDATE slot SET status = 'free', version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $4)
  FROM (SELECT DISTINCT schedule_key, start, id FROM (
      {_IN_THAT_TIME.format(people=_GONE, begin=_BEGIN, until=_UNTIL, status="busy-unavailable", slots="slot")}
    ) AS near) AS near
  WHERE {_FULL_KEY.format(row="near")} AND {JUDGED.format(slot="slot", besides="''")} = 'free'
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM replaced
)
SELECT free.id, free.start FROM replaced AS free
JOIN schedule ON schedule.key = free.schedule_key JOIN slot_kind AS kind ON kind.key = free.kind_key
WHERE {IS_AWAITED} ORDER BY free.start, free.id
"""
_SET_STATUS = f"""
WITH own AS MATERIALIZED (
  SELECT schedule_key, start, id FROM slot
  WHERE id = ANY((SELECT $1::uuid[])::uuid[]) AND taken_by = $4 AND status <> (SELECT $2::slot_status)
  ORDER BY 1, 2, 3 FOR UPDATE
), changed AS (
  UPDATE slot SET status = $2::slot_status, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $3)
  FROM own WHERE {_FULL_KEY.format(row="own")}
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM changed
)
SELECT {_AGENDAS}
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim got: whether every slot was still free, the actors whom someone else has, the Patients (ids) for whom
    nothing can be booked (deleted, inactive or deceased), and the organisations (ids) that own the agendas."""

    all_slots: bool
    missing_actors: tuple[str, ...]
    unavailable_patients: tuple[str, ...]
    owners: frozenset[str]
    others: bool
    """the agendas have other people than those for whom it was judged: they changed during the wait for the turn"""


async def displaced_by_others(
    connection: Connection, slots: Sequence[str], appointment_id: str
) -> frozenset[str]:
    """Returns the slots in whose time another appointment than this one takes somebody of their agenda."""
    rows = await connection.fetch(_DISPLACED_BY_OTHERS, [slot_key(id_) for id_ in slots], appointment_id)
    return frozenset(row["id"] for row in rows)


async def take(
    connection: Connection, wanted: Appointment, claim: Claim, now: datetime, *, marked: bool = False
) -> Taken:
    """Takes the slots and the people of `claim` for `wanted`; with `marked`, also slots that their agenda has marked. The
    caller raises if it did not get all: raising undoes it."""
    if claim.cuts:
        await _cut(connection, claim.cuts, now)
    cuts = {cut.slot.id: cut.start for cut in claim.cuts}
    alone = [slot for slot in claim.new_slots if not slot.is_group]
    starts = [cuts.get(slot.id, slot.start) for slot in alone]
    month = month_of(connection, "slot", min((claim.start, *starts)), max((claim.end, *starts)), now)
    actors, slots = list(claim.actors), [slot_key(slot.id) for slot in alone]
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
        marked,
        [schedule.removeprefix("Schedule/") for schedule in claim.schedules],
    )
    assert row is not None
    if row["reaches_back"]:
        await connection.execute(_DISPLACE_BEFORE, now, claim.start, claim.end, actors, slots, starts)
    missing = set(claim.actors) - set(row["taken"])
    if claim.groups:
        await claim_places(connection, wanted.id, claim.groups, claim.persons, now)
        missing |= await occupy_for_groups(connection, claim, now)
        for group in (group for group in claim.groups if group.id in claim.kept):
            key = slot_key(group.id)
            beside = set(await beside_agenda(connection, key)) - set(claim.shared)
            await _leave_group(connection, key, beside, wanted.id, now)
    return Taken(
        all_slots=row["claimed"] == len(alone),
        missing_actors=tuple(sorted(missing)),
        unavailable_patients=tuple(row["unavailable"]),
        owners=frozenset(after(OWNER, row["owners"])),
        others=set(row["people"]) != {actor for slot in claim.slots for actor in slot.exclusive},
    )


async def _cut(connection: Connection, cuts: Sequence[Cut], now: datetime) -> None:
    """Shorten locked slots to the parts that are taken; the rest of their time becomes slots of its own. What its visit no
    longer needs goes first to those who wait for it."""
    befores, afters = [new_id() for _ in cuts], [new_id() for _ in cuts]
    rests = await connection.fetch(
        _CUT,
        [slot_key(cut.slot.id) for cut in cuts],
        [cut.slot.start for cut in cuts],
        [cut.start for cut in cuts],
        [cut.end for cut in cuts],
        befores,
        afters,
        now,
    )
    kept = [cut.slot.taken_by is not None for cut in cuts]
    freed = {*compress(befores, kept), *compress(afters, kept)}
    note_freed(connection, ((row["id"], row["start"]) for row in rests if str(row["id"]) in freed), now)


async def occupy(
    connection: Connection, appointment_id: str, actors: Sequence[str], claim: Claim, now: datetime
) -> tuple[str, ...]:
    """Takes these people, too, for the claim's period; returns those who are taken by someone else."""
    return await occupy_for(connection, appointment_id, actors, claim.start, claim.end, now)


async def occupy_for(
    connection: Connection,
    appointment_id: str,
    actors: Sequence[str],
    start: datetime,
    end: datetime,
    now: datetime,
) -> tuple[str, ...]:
    """Takes people for `[start, end)`; returns those who are taken by someone else."""
    rows = await connection.fetch(_OCCUPY_TOO, appointment_id, start, end, list(actors), now)
    return tuple(sorted(set(actors) - {row["actor"] for row in rows}))


async def is_elsewhere(connection: Connection, appointment_id: str, actor: str) -> bool:
    """Whether somebody has another visit at the time that an appointment takes."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM occupancy AS own JOIN occupancy AS other ON other.period && own.period"
            " WHERE own.appointment_id = $1 AND other.actor = $2 AND other.appointment_id <> $1)",
            appointment_id,
            actor,
        )
    )


async def hand_over(connection: Connection, appointment_id: str, old: str, new: str) -> None:
    """Gives the time that an appointment takes of person `old` to `new`, unless `new` is elsewhere then: the visit stands,
    and the practice has to settle it."""
    await connection.execute(
        "UPDATE occupancy SET actor = $3 WHERE appointment_id = $1 AND actor = $2 AND NOT EXISTS ("
        "SELECT FROM occupancy AS own WHERE own.actor = $3 AND own.period && occupancy.period)",
        appointment_id,
        old,
        new,
    )


async def occupy_for_groups(connection: Connection, claim: Claim, now: datetime) -> set[str]:
    """Takes the people of the groups, unless the group has them already; returns those who are taken by someone else."""
    missing: set[str] = set()
    for slot in claim.groups:
        actors = claim.people_of(slot)
        rows = await connection.fetch(
            f"{_OCCUPY_TOO} UNION SELECT actor FROM occupancy WHERE appointment_id = $1",
            group_of(slot),
            slot.start,
            slot.end,
            list(actors),
            now,
        )
        missing |= set(actors) - {row["actor"] for row in rows}
    return missing


async def give_back(
    connection: Connection, appointment_id: str, slots: Sequence[str], now: datetime
) -> tuple[str, ...]:
    """Gives back those of the slots that an appointment has, and the time of its people. What their agendas say of them
    holds again; other slots in that time are free again, unless somebody else is taken then. Notes what somebody waits for
    (`storage.availability.freed`). Returns the agendas (references) of what it gave back."""
    keys = [slot_key(id_) for id_ in slots]
    row = await connection.fetchrow(_GIVE_BACK, appointment_id, keys, now)
    assert row is not None
    if row["overbooked"]:
        for heir in await left(connection, appointment_id, slots, now):
            await connection.execute(
                _OCCUPY_TOO, heir.appointment, heir.start, heir.end, list(heir.actors), now
            )
    note_freed(connection, zip(row["awaited"], row["starts"], strict=True), now)
    if not row["shares"]:
        return tuple(row["schedules"])
    schedules = set(row["schedules"])
    for place in await release_places(connection, appointment_id, slots, now):
        schedules.add(place.schedule)
        note_freed(connection, [(place.key, place.start)], now)
        if place.empty:
            group = await connection.fetchrow(_GIVE_BACK, f"{GROUP}{place.key}", [place.key], now)
            assert group is not None
            note_freed(connection, zip(group["awaited"], group["starts"], strict=True), now)
        else:
            await _leave_group(connection, place.key, place.beside, appointment_id, now)
    return tuple(sorted(schedules))


async def _leave_group(
    connection: Connection, group: UUID, people: Collection[str], appointment_id: str, now: datetime
) -> None:
    """Gives back those whom the group of a slot (its key) took for this appointment, unless another one names them."""
    gone = sorted(set(people) - await named_by_others(connection, group, appointment_id)) if people else []
    if gone:
        await _let_go(connection, f"{GROUP}{group}", gone, now)


async def release_persons(
    connection: Connection, appointment_id: str, slots: Sequence[str], persons: Sequence[str], now: datetime
) -> None:
    """Gives back the time of some of the patients of an appointment (actors), and their places in these slots (ids). It
    keeps all else. The caller has waited for its turn."""
    await _let_go(connection, appointment_id, persons, now)
    for place in await release_places(connection, appointment_id, slots, now, persons):
        note_freed(connection, [(place.key, place.start)], now)


async def _let_go(connection: Connection, taker: str, people: Sequence[str], now: datetime) -> None:
    """Gives back the time that an appointment or a group takes of these people; their slots then are free again."""
    given_back = await connection.fetch(_LET_GO, taker, people)
    if not given_back:
        return
    begin, until = min(row["begin"] for row in given_back), max(row["until"] for row in given_back)
    freed = await connection.fetch(_FREE_AGAIN, people, begin, until, now)
    note_freed(connection, ((row["id"], row["start"]) for row in freed), now)


async def set_status(
    connection: Connection, appointment_id: str, slots: Sequence[str], status: SlotStatus, now: datetime
) -> tuple[str, ...]:
    """Sets the status of those of the slots that an appointment has; returns the agendas (references) of changed ones."""
    keys = [slot_key(id_) for id_ in slots]
    row = await connection.fetchrow(_SET_STATUS, keys, status, now, appointment_id)
    return tuple(row["schedules"]) if row is not None else ()
