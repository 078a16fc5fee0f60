"""Slots made from what an agenda states: read, compare, and write the difference, in SQL.

Such slots are stored as all others are. One transaction at a time makes an agenda's slots: it locks their row of
`agenda_opening`. Then, as every writer of slots, it waits for its turn beside those who take or free the agenda's people.
Last it locks what it would take away. What somebody has taken meanwhile stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from asyncpg import Record

from creneau_booking.domain.openings.clock import day_of, utc, whole_day
from creneau_booking.domain.openings.days_off import SCHOOL_CALENDAR, SchoolCalendar
from creneau_booking.domain.openings.difference import Difference, There, difference
from creneau_booking.domain.openings.expansion import Expansion, expand
from creneau_booking.domain.openings.refusals import TooManySlots
from creneau_booking.domain.openings.rules import Interval, Kind, OpeningLimits, Statement
from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX
from creneau_booking.storage.availability.actors import write_beside
from creneau_booking.storage.availability.agendas import rejudge
from creneau_booking.storage.availability.freed import AWAITED, note_freed
from creneau_booking.storage.availability.rule import JUDGED
from creneau_booking.storage.mapping.places import HOLDER
from creneau_booking.storage.mapping.slot import (
    SUPERSEDE,
    SlotKind,
    kind_of,
)
from creneau_booking.storage.openings.extensions import Stated, stated_by, states_rules, understood
from creneau_booking.storage.openings.saying import SAY
from creneau_booking.storage.openings.whose import DUE_CHANNEL, actors_of, place_of
from creneau_shared.clock import PARIS
from creneau_shared.database.closing import announce
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_uuid

_THERE = f"""
SELECT slot.id::text, extract(epoch FROM slot.start)::bigint, extract(epoch FROM slot."end")::bigint, kind.digest,
  coalesce(slot.generated, false) AND slot.start > $2 AND slot.said IN ('free', 'busy-unavailable'), slot.said = 'free',
  {HOLDER}
FROM slot JOIN slot_kind AS kind ON kind.key = slot.kind_key
WHERE slot.schedule_key = $1 AND slot.start > $3 AND slot."end" > $2 ORDER BY slot.start, slot.id
"""
_LOCK = """
SELECT FROM slot JOIN unnest($2::uuid[], $3::timestamptz[]) AS named (id, start) USING (id, start)
WHERE slot.schedule_key = $1 ORDER BY slot.schedule_key, slot.start, slot.id FOR UPDATE OF slot
"""
_REMOVE = f"""
WITH gone AS (
  DELETE FROM slot USING unnest($2::uuid[], $3::timestamptz[]) AS named (id, start)
  WHERE slot.schedule_key = $1 AND slot.start = named.start AND slot.id = named.id RETURNING slot.*
)
{SUPERSEDE}
SELECT schedule_key, id, version, start, "end", kind_key, last_updated, status, name, extra, places,
  $4::timestamptz FROM gone
UNION ALL
SELECT schedule_key, id, version + 1, start, "end", kind_key, $4, NULL, name, NULL, NULL, $4 FROM gone
"""
_KIND = """
INSERT INTO slot_kind (schedule_key, digest, members, meta, terms, words)
VALUES ($1, $2, $3, $4, $5, $6::text::tsvector)
ON CONFLICT (schedule_key, digest) DO UPDATE SET digest = excluded.digest RETURNING key
"""
_INSERT = f"""
WITH fresh AS MATERIALIZED (
  SELECT id, start, "end", kind_key, $1::bigint AS schedule_key, 'free'::slot_status AS said
  FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::bigint[]) AS given (id, start, "end", kind_key)
), made AS (
  INSERT INTO slot (id, start, "end", status, said, schedule_key, kind_key, last_updated, version, generated)
  SELECT id, start, "end", {JUDGED.format(slot="fresh", besides="''")}, said, schedule_key, kind_key, $6, 1, true FROM fresh
  RETURNING id, start, {AWAITED.format(slot="slot")} AS awaited
)
SELECT id, start FROM made WHERE awaited
"""
_LONGEST = "UPDATE agenda SET slot_length_max = $2 WHERE schedule_key = $1 AND slot_length_max < $2"
_PUT_OFF = "UPDATE agenda_opening SET due_at = $2, failed = 0 WHERE schedule_key = $1"
_KNOWN = """
SELECT key, EXISTS (SELECT FROM agenda_opening WHERE schedule_key = key) AS known FROM schedule WHERE id = $1
"""
_CLAIM = """
INSERT INTO agenda_opening (schedule_key, due_at) VALUES ($1, $2)
ON CONFLICT (schedule_key) DO UPDATE SET due_at = excluded.due_at
"""
_NEXT = """
SELECT opening.schedule_key AS key, schedule.id, schedule.content, schedule.deleted
FROM agenda_opening AS opening JOIN schedule ON schedule.key = opening.schedule_key
WHERE opening.due_at <= $1 ORDER BY opening.due_at LIMIT 1 FOR UPDATE OF opening SKIP LOCKED
"""
_CLOSED = """
SELECT lower(period) AS start, upper(period) AS "end" FROM agenda_closure WHERE schedule_key = $1 AND upper(period) > $2
"""
_LEFT_OUT = 'SELECT start, "end" FROM opening_left_out WHERE schedule_key = $1 AND "end" > $2'
REGENERATED_AGAIN_AFTER = timedelta(minutes=1)
"""pause before the slots of an agenda are made again after a failure"""
_EPOCH, _EPOCH_LATER = "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an agenda's rules ask for, and how its slots look."""

    expansion: Expansion
    kinds: Mapping[Kind, SlotKind]
    zone: ZoneInfo
    stated: Stated
    closed: tuple[Interval, ...] = ()


_NOTHING = Plan(Expansion((), (), True), {}, PARIS, Stated(Statement(), {}, {}, own=False))


@dataclass(frozen=True, slots=True)
class Made:
    """What was done for one agenda; `complete`: whether that is all."""

    appeared: int
    vanished: int
    complete: bool


class OpeningStore:
    """Makes slots from what agendas state."""

    def __init__(
        self,
        base_url: str,
        limits: OpeningLimits | None = None,
        calendar: SchoolCalendar = SCHOOL_CALENDAR,
    ) -> None:
        self._base_url = base_url
        self._limits = limits or OpeningLimits()
        self._calendar = calendar

    # -- what is asked for -----------------------------------------------------------------------------------

    async def plan(
        self,
        connection: Connection,
        schedule: Resource,
        key: int | None,
        now: datetime,
        *,
        strict: bool,
    ) -> Plan:
        """Returns what a Schedule asks for; `key`: its agenda, where it has one already. `strict`: raises OpeningsUnread
        for what cannot be read, TooManySlots for more slots than the limit. Strict or not: OpeningsUnread for what is too
        costly to work out."""
        actors = await actors_of(connection, schedule, self._base_url)
        stated = (stated_by if strict else understood)(schedule, actors, now)
        zone, place = place_of(schedule, actors, self._calendar)
        rows = await connection.fetch(_CLOSED, key, now) if key is not None else []
        closed = tuple(_interval(row) for row in rows)
        expansion = Expansion((), (), True)
        if stated.own and _is_active(schedule):
            # In a thread: the most that `expand` does takes seconds, in which the loop answers others.
            expansion = await asyncio.to_thread(
                expand,
                stated.statement,
                place,
                self._window(schedule, zone, now),
                closures=closed,
                most=self._limits.slots_max,
            )
        if strict and not expansion.complete:
            raise TooManySlots(self._limits.slots_max)
        return Plan(expansion, self._kinds(stated, expansion, schedule), zone, stated, closed)

    def _window(self, schedule: Resource, zone: ZoneInfo, now: datetime) -> Interval:
        """Returns the period in which slots are made: the planning horizon, else whole days from today on."""
        moment = int(now.timestamp())
        horizon = schedule.get("planningHorizon", {})
        since, last = moment + 1, now + timedelta(days=self._limits.horizon_days_max)
        if "start" in horizon:
            since = max(since, int(parse_interval(horizon["start"], zone)[0].timestamp()))
        if "end" in horizon:
            low, high = parse_interval(horizon["end"], zone)
            until = int((low if "T" in horizon["end"] else high).timestamp())
        else:
            day = day_of(moment, zone) + timedelta(days=self._limits.horizon_days)
            until = whole_day(day, zone)[1]
        return since, min(until, int(last.timestamp()))

    def _kinds(self, stated: Stated, expansion: Expansion, schedule: Resource) -> dict[Kind, SlotKind]:
        id_ = str(schedule.get("id", "new"))
        found = {}
        for kind in {slot.kind for slot in expansion.wanted}:
            slot = stated.slot_of(kind, id_) | {"status": "free", "start": _EPOCH, "end": _EPOCH_LATER}
            found[kind] = kind_of(slot, self._base_url, {})
        return found

    # -- what there is ---------------------------------------------------------------------------------------

    async def compare(self, connection: Connection, plan: Plan, key: int | None, now: datetime) -> Difference:
        """Returns the difference between the slots of an agenda and the planned ones; locks nothing."""
        if key is None:
            return difference(plan.expansion, ())
        there = await self._there(connection, plan, key, now)
        if not _is_active(plan.stated.schedule):
            there = [slot._replace(generated=False) for slot in there]
        return difference(plan.expansion, there, await _left_out(connection, key, now), plan.closed)

    async def _there(self, connection: Connection, plan: Plan, key: int, now: datetime) -> list[There]:
        by_digest = {kind.digest: name for name, kind in plan.kinds.items()}
        rows = await connection.fetch(_THERE, key, now, now - SLOT_LENGTH_MAX)
        return [There(id_, start, end, by_digest.get(kind), *more) for id_, start, end, kind, *more in rows]

    # -- writing ---------------------------------------------------------------------------------------------

    async def stated(
        self,
        connection: Connection,
        schedule_id: str,
        schedule: Resource | None,
        now: datetime,
        *,
        is_new: bool = False,
    ) -> None:
        """Makes the slots of a Schedule just written (None: deleted). Raises OpeningsUnread or TooManySlots."""
        asks = schedule is not None and states_rules(schedule)
        if is_new and not asks:
            return
        row = await connection.fetchrow(_KNOWN, schedule_id)
        if row is None or not (asks or row["known"]):
            return
        key = row["key"]
        await connection.execute(_CLAIM, key, now)
        plan = _NOTHING
        if schedule is not None:
            if not _is_active(schedule):
                await self.plan(connection, schedule, key, now, strict=True)
                return
            plan = await self.plan(connection, schedule, key, now, strict=True)
        made = await self._write(connection, key, plan, now)
        if not asks and made.complete:
            await connection.execute("DELETE FROM agenda_opening WHERE schedule_key = $1", key)
        else:
            await self._put_off(connection, key, plan, now, made)
            if not made.complete:
                announce(connection, DUE_CHANNEL)

    async def next_due(
        self, connection: Connection, now: datetime
    ) -> tuple[int, str, Resource | None] | None:
        """Locks and returns an agenda (key, id, Schedule) whose slots are due and that nobody else is at."""
        row = await connection.fetchrow(_NEXT, now)
        if row is None:
            return None
        schedule = None if row["deleted"] or row["content"] is None else loads(row["content"])
        return row["key"], row["id"], schedule

    async def carry_on(
        self, connection: Connection, key: int, schedule: Resource | None, now: datetime
    ) -> Made:
        """Makes anew the slots of an agenda that `next_due` has returned."""
        if schedule is not None and not _is_active(schedule):
            await connection.execute(_PUT_OFF, key, now + timedelta(days=1))
            return Made(0, 0, True)
        plan = _NOTHING
        if schedule is not None:
            plan = await self.plan(connection, schedule, key, now, strict=False)
        made = await self._write(connection, key, plan, now)
        if (schedule is None or not states_rules(schedule)) and made.complete:
            await connection.execute("DELETE FROM agenda_opening WHERE schedule_key = $1", key)
        else:
            await self._put_off(connection, key, plan, now, made)
        return made

    async def failed(self, connection: Connection, key: int, now: datetime) -> None:
        """Puts off an agenda whose slots could not be made: others come first, and it is tried again ever later."""
        await connection.execute(
            "UPDATE agenda_opening SET failed = failed + 1, due_at = $2::timestamptz + least(failed + 1, 60) * $3::interval"
            " WHERE schedule_key = $1",
            key,
            now,
            REGENERATED_AGAIN_AFTER,
        )

    async def _put_off(self, connection: Connection, key: int, plan: Plan, now: datetime, made: Made) -> None:
        """Puts off an agenda until the next day of the place; to now where not everything could be written."""
        tomorrow = whole_day(day_of(int(now.timestamp()), plan.zone), plan.zone)[1]
        await connection.execute(_PUT_OFF, key, utc(tomorrow) if made.complete else now)

    async def _write(self, connection: Connection, key: int, plan: Plan, now: datetime) -> Made:
        left_out = await _left_out(connection, key, now)

        def compared(there: Sequence[There]) -> Difference:
            return difference(plan.expansion, there, left_out, plan.closed)

        change = compared(await self._there(connection, plan, key, now))
        touched = (*change.vanish, *change.reopened, *change.withdrawn)
        if not change.appear and not touched:
            return Made(0, 0, True)
        await write_beside(connection, [key])
        everything = True
        if touched:
            locked = {slot.id for slot in touched}
            await connection.fetch(_LOCK, key, *_places(touched))
            there = await self._there(connection, plan, key, now)
            change = compared(there)
            others = {s.id for s in (*change.vanish, *change.reopened, *change.withdrawn)} - locked
            if others:
                # Given back during the wait: left for the next time, rather than locked out of turn.
                everything = False
                change = compared([s._replace(generated=False) if s.id in others else s for s in there])
        if change.vanish:
            await connection.execute(_REMOVE, key, *_places(change.vanish), now)
        if change.withdrawn:
            await connection.execute(SAY, key, *_places(change.withdrawn), "busy-unavailable", now)
        if change.reopened:
            await connection.execute(SAY, key, *_places(change.reopened), "free", now)
            await rejudge(connection, [key], now)
            note_freed(connection, [(UUID(s.id), utc(s.start)) for s in change.reopened], now)
        appear = change.appear[: self._limits.at_once_max]
        if appear:
            await self._insert(connection, key, plan, appear, now)
        everything = everything and len(appear) == len(change.appear)
        return Made(len(appear), len(change.vanish), everything)

    async def _insert(
        self, connection: Connection, key: int, plan: Plan, appear: Sequence[Any], now: datetime
    ) -> None:
        longest = max(slot.end - slot.start for slot in appear)
        await connection.execute(_LONGEST, key, timedelta(seconds=longest))
        keys = {
            kind: await connection.fetchval(
                _KIND, key, made.digest, made.members, made.meta, list(made.terms), made.words
            )
            for kind, made in plan.kinds.items()
        }
        awaited = await connection.fetch(
            _INSERT,
            key,
            [new_uuid() for _ in appear],
            [utc(slot.start) for slot in appear],
            [utc(slot.end) for slot in appear],
            [keys[slot.kind] for slot in appear],
            now,
        )
        note_freed(connection, [(row["id"], row["start"]) for row in awaited], now)


async def due(connection: Connection, now: datetime) -> int:
    """How many agendas wait for their slots to be made."""
    return int(await connection.fetchval("SELECT count(*) FROM agenda_opening WHERE due_at <= $1", now))


async def forget_past_openings(connection: Connection, now: datetime) -> None:
    """Deletes what was left out or closed before `now`. Keeps closures for a year, for those who ask why."""
    await connection.execute('DELETE FROM opening_left_out WHERE "end" < $1', now)
    await connection.execute("DELETE FROM agenda_closed_slot WHERE start < $1", now)
    await connection.execute("DELETE FROM agenda_closure WHERE upper(period) < $1", now - timedelta(days=365))


async def _left_out(connection: Connection, key: int, now: datetime) -> list[Interval]:
    return [_interval(row) for row in await connection.fetch(_LEFT_OUT, key, now)]


def _interval(row: Record) -> Interval:
    return int(row["start"].timestamp()), int(row["end"].timestamp())


def _places(slots: Sequence[There]) -> tuple[list[str], list[datetime]]:
    return [slot.id for slot in slots], [datetime.fromtimestamp(slot.start, UTC) for slot in slots]


def _is_active(schedule: Resource) -> bool:
    return schedule.get("active", True) is not False
