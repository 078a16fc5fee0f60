"""Agendas that change hands: what is taken in them to come then takes the people, rooms and devices that they have now.

A visit takes the people of its slots' agendas, and those whom it names itself. The people of an agenda change when its
Schedule names others, or when the directory says that a role is another's or that a place is a room. Then each of its
visits, holds and groups takes those who join and gives back those who leave, unless it names them. What has begun stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from asyncpg import Record

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.slots import JoiningTaken
from creneau_booking.domain.rules import exclusive_actors, to_resolve
from creneau_booking.storage.availability.actors import resolve, stop_changing
from creneau_booking.storage.mapping.appointment import facts
from creneau_booking.storage.mapping.places import GROUP
from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads

log = structlog.get_logger(__name__)

_OPENINGS = """
SELECT FROM agenda_opening WHERE schedule_key = ANY($1::bigint[])
  OR schedule_key IN (SELECT schedule_key FROM agenda_actor WHERE actor = ANY($2::text[]))
ORDER BY schedule_key FOR UPDATE
"""
_WITH = "SELECT DISTINCT schedule_key FROM agenda_actor WHERE actor = ANY($1::text[])"
_TAKEN = f"""
WITH own AS MATERIALIZED (
  SELECT DISTINCT taken_by AS by, CASE WHEN starts_with(taken_by, '{GROUP}') THEN id END AS of_group FROM slot
  WHERE schedule_key = ANY($1::bigint[]) AND taken_by IS NOT NULL AND "end" > $2
)
SELECT by, of_group, content FROM own JOIN appointment ON appointment.id = by WHERE of_group IS NULL AND NOT deleted
UNION ALL
SELECT by, of_group, content FROM own JOIN slot_place ON slot_id = of_group
JOIN appointment ON appointment.id = slot_place.appointment_id WHERE NOT deleted
"""
_SLOTS = """
SELECT id, start, "end", taken_by,
  ARRAY(SELECT actor FROM agenda_actor WHERE agenda_actor.schedule_key = slot.schedule_key) AS people
FROM slot WHERE id = ANY($1::uuid[])
"""
_HAD = "SELECT appointment_id, actor FROM occupancy WHERE appointment_id = ANY($1::text[]) AND actor = ANY($2::text[])"
_LEAVE = """
DELETE FROM occupancy USING unnest($1::text[], $2::text[]) AS gone (by, who)
WHERE occupancy.appointment_id = gone.by AND occupancy.actor = gone.who
"""
_MAKE_ROOM = """
WITH joining AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS joining (who, start, until)
), busy AS (
  DELETE FROM occupancy WHERE starts_with(appointment_id, 'calendar:') AND EXISTS (
    SELECT FROM joining WHERE who = actor AND period && tstzrange(start, until)) RETURNING appointment_id, actor, period
)
SELECT appointment_id, actor, lower(piece) AS start, upper(piece) AS until FROM busy CROSS JOIN LATERAL unnest(
  tstzmultirange(period) - (SELECT range_agg(tstzrange(start, until)) FROM joining WHERE who = actor)) AS piece
"""
_JOIN = """
INSERT INTO occupancy (appointment_id, actor, period)
SELECT by, who, tstzrange(start, until)
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY
  AS joining (by, who, start, until, place)
ORDER BY place ON CONFLICT ON CONSTRAINT ex_occupancy DO NOTHING RETURNING appointment_id, actor
"""


@dataclass(frozen=True, slots=True)
class Hands:
    """Agendas (keys) that change hands, and who joins or leaves one of them (references)."""

    agendas: frozenset[int]
    joining: frozenset[str]
    leaving: frozenset[str]

    @property
    def people(self) -> list[str]:
        return sorted(self.joining | self.leaving)


@dataclass(frozen=True, slots=True)
class Taken:
    """An appointment (id) or a group (`Slot/` and the slot's id) that takes people: when, and whom it has to take now."""

    by: str
    start: datetime
    until: datetime
    people: frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class Joining:
    """Somebody (a reference) who is to be taken."""

    start: datetime
    by: str
    who: str
    until: datetime


async def stop_for(connection: Connection, hands: Hands, now: datetime) -> None:
    """Waits for the turn on everybody's time in these agendas, before anything of them is written. Whoever makes their slots
    from openings locks the openings before waiting for people, and so does this."""
    await connection.execute(_OPENINGS, sorted(hands.agendas), hands.people)
    await stop_changing(connection, sorted(hands.agendas), hands.people, now)


async def agendas_with(connection: Connection, hands: Hands) -> list[int]:
    """Returns the agendas (keys) whose slots may be free, or free no more, because of who has joined and left."""
    return [row["schedule_key"] for row in await connection.fetch(_WITH, hands.people)]


async def hand_over_what_is_taken(
    connection: Connection, hands: Hands, now: datetime, *, strict: bool
) -> None:
    """Makes what is taken in these agendas to come take the people that they have now. Nobody else changes these people's
    time meanwhile (`stop_for`). `strict`: see `keep_agendas`."""
    taken = [one for one in await _taken_in(connection, hands, now) if one.start > now]
    if not taken:
        return
    rows = await connection.fetch(_HAD, [one.by for one in taken], hands.people)
    had = {(row["appointment_id"], row["actor"]) for row in rows}
    has = {(one.by, who): one for one in taken for who in one.people & frozenset(hands.people)}
    gone = sorted(had - has.keys())
    await connection.execute(_LEAVE, [by for by, _ in gone], [who for _, who in gone])
    joining = sorted(
        Joining(one.start, by, who, one.until) for (by, who), one in has.items() if (by, who) not in had
    )
    missing = await _join(connection, joining) if joining else []
    if not missing:
        return
    refused = JoiningTaken(
        tuple(sorted({one.who for one in missing})), tuple(sorted({one.start for one in missing}))
    )
    if strict:
        raise refused
    log.error(
        "double bookings", people=list(refused.actors), appointments=sorted({one.by for one in missing})[:20]
    )


async def _join(connection: Connection, joining: Sequence[Joining]) -> list[Joining]:
    """Takes these people; returns those who have something else at that time. Busy times of another calendar give way, as to
    any visit (`outside.calendars`)."""
    by, who = [one.by for one in joining], [one.who for one in joining]
    starts, ends = [one.start for one in joining], [one.until for one in joining]
    pieces = await connection.fetch(_MAKE_ROOM, who, starts, ends)
    if pieces:
        columns = zip(*map(tuple, pieces), strict=True)
        await connection.fetch(_JOIN, *map(list, columns))
    rows = await connection.fetch(_JOIN, by, who, starts, ends)
    joined = {(row["appointment_id"], row["actor"]) for row in rows}
    return [one for one in joining if (one.by, one.who) not in joined]


async def _taken_in(connection: Connection, hands: Hands, now: datetime) -> list[Taken]:
    rows = await connection.fetch(_TAKEN, sorted(hands.agendas), now)
    visits = [(row["by"], row["of_group"], facts(loads(row["content"]), "")) for row in rows]
    ids = {slot_key(id_) for _, _, visit in visits for id_ in visit.slots}
    slots = {row["id"]: row for row in await connection.fetch(_SLOTS, sorted(ids))}
    named = sorted({reference for _, _, visit in visits for reference in to_resolve(visit)})
    resolved = await resolve(connection, named)
    taken: dict[str, Taken] = {}
    for by, of_group, visit in visits:
        own = [slots[key] for id_ in visit.slots if (key := slot_key(id_)) in slots]
        themselves = frozenset(exclusive_actors(visit, (), resolved))
        people = _of_visit(own, by, themselves) if of_group is None else _of_group(own, by, themselves)
        start, until = _time_of(visit, own, by, of_group)
        if by in taken:
            people |= taken[by].people
        taken[by] = Taken(by, start, until, people)
    return list(taken.values())


def _of_visit(own: Sequence[Record], by: str, named: frozenset[str]) -> frozenset[str]:
    """Returns whom a visit itself takes: people of its slots outside groups, and whom it names (see `rules.claim_for`)."""
    alone = {who for slot in own if slot["taken_by"] == by for who in slot["people"]}
    of_groups = {who for slot in own if slot["taken_by"] != by for who in slot["people"]}
    return frozenset(alone | (named - of_groups))


def _of_group(own: Sequence[Record], by: str, named: frozenset[str]) -> frozenset[str]:
    """Returns whom a group takes: its agenda's people, and those named by members who have places in groups alone."""
    people = {who for slot in own if slot["taken_by"] == by for who in slot["people"]}
    brings = all((slot["taken_by"] or "").startswith(GROUP) for slot in own)
    return frozenset(people | named if brings else people)


def _time_of(
    visit: Appointment, own: Sequence[Record], by: str, of_group: UUID | None
) -> tuple[datetime, datetime]:
    """Returns the time of a group, or of a visit as far as the slots are its own: it may lie over another one's, too."""
    for slot in own:
        if slot["id"] == of_group:
            return slot["start"], slot["end"]
    assert visit.start is not None
    assert visit.end is not None
    alone = [slot for slot in own if slot["taken_by"] == by]
    first = min((slot["start"] for slot in alone), default=visit.start)
    last = max((slot["end"] for slot in alone), default=visit.end)
    return max(first, visit.start), min(last, visit.end)
