"""Writes many slots with a few statements, as `SlotStore` writes them one by one.

Locks are taken in the same order: the people of all the agendas, the existing slots by agenda, time and id, the ids of new
slots. Each statement then sees the results of those for whom it waited. Left to be written alone (`store.WritesMany`)
are: what `take_apart` refuses; a slot in an agenda that does not exist or is another practice's; a slot that the caller
may not change, that is taken and would be moved, that is gone, or that somebody has moved or made meanwhile; an id that
the caller may not choose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from creneau_booking.storage.availability.actors import TURN_BESIDE
from creneau_booking.storage.availability.freed import AWAITED, note_agendas, note_awaited
from creneau_booking.storage.availability.freshness import IS_BACK, WORD_COUNTS, spoken_at
from creneau_booking.storage.availability.rule import JUDGED, KEEP_CLOSED, UNDER_CLOSURES
from creneau_booking.storage.mapping import visibility
from creneau_booking.storage.mapping.places import left_sql, status_sql
from creneau_booking.storage.mapping.slot import (
    ECHOED,
    KEEPING_OVERBOOKED,
    SUPERSEDE,
    SUPERSEDED,
    SUPERSEDED_COLUMNS,
    Kinds,
    SlotKind,
    SlotRow,
    as_served,
    take_apart,
)
from creneau_shared.database.pool import Connection
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.fhir.storage.generic import require_owned
from creneau_shared.fhir.storage.store import Stored, Write, WriteContext
from creneau_shared.refusal import Refusal

_TERM_END = "\x1f"
"""separates terms: no text of FHIR has it"""
_PLACES = "SELECT id, schedule_key, start FROM slot WHERE id = ANY($1::uuid[])"
_NAMED = (
    "schedule_key IN (SELECT unnest($2::bigint[]) UNION SELECT key FROM schedule WHERE id = ANY($1::text[]))"
)
_TURN = f"SELECT waited FROM {TURN_BESIDE.format(agendas=_NAMED)} AS turn"
_AGENDAS = "SELECT id, key, terms FROM schedule WHERE id = ANY($1::text[]) AND NOT deleted"
_LOCK = """
SELECT slot.id, slot.schedule_key, slot.start, slot."end", slot.version, slot.last_updated,
  slot.taken_by IS NOT NULL AS taken, {visible} AS visible
FROM unnest({keys}, {starts}, {ids}) AS place (schedule_key, start, id)
JOIN slot USING (schedule_key, start, id) JOIN slot_kind kind ON kind.key = slot.kind_key
ORDER BY slot.schedule_key, slot.start, slot.id FOR UPDATE OF slot
"""
# `id` alone is not unique across agendas and months, so rivals with one id wait for each other here.
CLAIM = """
SELECT count(pg_advisory_xact_lock(hashtextextended(id::text, 0)))
FROM (SELECT id FROM unnest($1::uuid[]) AS id ORDER BY id) AS wanted
"""
_USED = """
SELECT id FROM slot WHERE id = ANY($1::uuid[]) UNION SELECT id FROM slot_history WHERE id = ANY($1::uuid[])
"""
_KINDS = f"""
WITH short AS MATERIALIZED (
  SELECT agenda.schedule_key, longest.length
  FROM unnest($1::bigint[], $2::interval[]) AS longest (schedule_key, length) JOIN agenda USING (schedule_key)
  WHERE agenda.slot_length_max < longest.length OR {WORD_COUNTS.format(now="$5")} ORDER BY 1 FOR NO KEY UPDATE OF agenda
), longer AS (
  UPDATE agenda SET slot_length_max = greatest(slot_length_max, short.length),
    synchronised_at = CASE WHEN {WORD_COUNTS.format(now="$5")} THEN $5 ELSE synchronised_at END
  FROM short WHERE agenda.schedule_key = short.schedule_key
  RETURNING agenda.schedule_key, {IS_BACK.format(now="$5")} AS is_back
)
SELECT kind.schedule_key, kind.digest, kind.key
FROM unnest($3::bigint[], $4::bytea[]) AS wanted (schedule_key, digest) JOIN slot_kind kind USING (schedule_key, digest)
UNION ALL SELECT schedule_key, NULL, NULL FROM longer WHERE is_back
"""
_NEW_KINDS = """
INSERT INTO slot_kind (schedule_key, digest, members, meta, terms, words, own_capacity)
SELECT schedule_key, digest, members, meta, ARRAY(SELECT json_array_elements_text(terms::json)), words::tsvector,
  own_capacity
FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[])
  AS given (schedule_key, digest, members, meta, terms, words, own_capacity)
ORDER BY schedule_key, digest
ON CONFLICT (schedule_key, digest) DO UPDATE SET digest = excluded.digest RETURNING schedule_key, digest, key
"""
_GIVEN = f"""
SELECT id, name, start, "end", said::slot_status AS asked, extra,
  {UNDER_CLOSURES.format(said="said::slot_status", start="start", until='"end"', schedule_key="given.schedule_key")} AS said,
  string_to_array(terms, E'\\x1f') AS terms,
  words::tsvector AS words, schedule_key, kind_key, last_updated, version{{more}}
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
  $8::text[], $9::bigint[], $10::bigint[], $11::timestamptz[], $12::integer[]{{arrays}})
  AS given (id, name, start, "end", said, extra, terms, words, schedule_key, kind_key, last_updated, version{{more}})
"""
_INSERT = f"""
WITH fresh AS MATERIALIZED ({_GIVEN.format(more="", arrays="")}), closed AS ({KEEP_CLOSED.format(slots="fresh")}), made AS (
  INSERT INTO slot (id, name, start, "end", status, said, extra, terms, words, schedule_key, kind_key, last_updated, version)
  SELECT id, name, start, "end", {JUDGED.format(slot="fresh", besides="''")}, said, extra, terms, words, schedule_key,
    kind_key, last_updated, version
  FROM fresh ON CONFLICT DO NOTHING RETURNING id, start, status, kind_key, {AWAITED.format(slot="slot")} AS awaited
)"""
INSERT_MANY = f"""{_INSERT}
SELECT id, start, status::text AS served, (SELECT capacity FROM slot_kind WHERE slot_kind.key = kind_key) AS places_left, awaited
FROM made
"""
INSERT_UNSEEN = f"""{_INSERT}
SELECT count(*) AS made, array_agg(id) FILTER (WHERE awaited) AS ids, array_agg(start) FILTER (WHERE awaited) AS starts FROM made
"""
"""INSERT_MANY for a caller who needs no row for each: how many there are, and those for which somebody waits."""
REPLACE_MANY = f"""
WITH said AS MATERIALIZED ({
    _GIVEN.format(more=", was_in, was_at", arrays=", $13::bigint[], $14::timestamptz[]")
}), closed AS ({KEEP_CLOSED.format(slots="said")}), replaced AS (
  UPDATE slot SET start = said.start, "end" = said."end", said = {ECHOED},
    status = CASE WHEN slot.taken_by IS NULL THEN {JUDGED.format(slot="said", besides="''")}
      WHEN slot.places IS NOT NULL THEN {
    status_sql("said.said", left_sql("slot", "said.kind_key"))
} ELSE slot.status END,
    places = CASE WHEN slot.places IS NOT NULL THEN {left_sql("slot", "said.kind_key")} END,
    extra = {KEEPING_OVERBOOKED.format(extra="said.extra")}, terms = said.terms,
    words = said.words, schedule_key = said.schedule_key,
    kind_key = said.kind_key, last_updated = said.last_updated, version = said.version, generated = NULL
  FROM said WHERE slot.schedule_key = said.was_in AND slot.start = said.was_at AND slot.id = said.id
  RETURNING {SUPERSEDED}, new.status::text AS served, coalesce(new.places,
    (SELECT capacity FROM slot_kind WHERE slot_kind.key = new.kind_key)) AS places_left,
    {AWAITED.format(slot="new")} AS awaited, new.start AS starts
), superseded AS (
  {SUPERSEDE} SELECT {SUPERSEDED_COLUMNS} FROM replaced
)
SELECT id, starts AS start, served, places_left, awaited FROM replaced
"""


@dataclass(frozen=True, slots=True)
class SlotToWrite:
    """One of the slots, and its place among the writes."""

    index: int
    write: Write
    row: SlotRow
    kind: SlotKind

    @property
    def is_new(self) -> bool:
        return self.write.is_new


@dataclass(frozen=True, slots=True)
class VersionToWrite:
    """The version of a slot to write: in which agenda (key), after which version, and at what time (whole milliseconds;
    that version's time if that is later)."""

    row: SlotRow
    kind: SlotKind
    agenda: int
    after: Record | None
    moment: datetime

    @property
    def number(self) -> int:
        return self.after["version"] + 1 if self.after else 1

    @property
    def now(self) -> datetime:
        return max(self.moment, self.after["last_updated"]) if self.after else self.moment


async def write_many(connection: Connection, writes: Sequence[Write], base_url: str) -> list[Stored | None]:
    """See `store.WritesMany`."""
    slots = await _taken_apart(writes, base_url)
    accepted = await _acceptable(connection, slots)
    answers: list[Stored | None] = [None] * len(writes)
    if not accepted:
        return answers
    versions, context = [version for _, version in accepted], writes[0].context  # all are of one caller
    kinds = await keys_of_kinds(connection, context, versions)
    fresh = [version for version in versions if version.after is None]
    rows = await connection.fetch(INSERT_MANY, *columns_of(fresh, kinds)) if fresh else []
    if places := [(version, version.after) for version in versions if version.after is not None]:
        agendas = [after["schedule_key"] for _, after in places]
        starts = [after["start"] for _, after in places]
        known = [version for version, _ in places]
        rows += await connection.fetch(REPLACE_MANY, *columns_of(known, kinds), agendas, starts)
    note_awaited(connection, rows, context.now)
    written = {row["id"]: row for row in rows}
    for slot, version in accepted:
        if (row := written.get(slot.row.id)) is not None:
            resource = {**slot.write.resource, "status": row["served"]}
            answers[slot.index] = as_served(
                resource, slot.write.id, version.number, version.now, row["places_left"]
            )
    return answers


async def _taken_apart(writes: Sequence[Write], base_url: str) -> list[SlotToWrite]:
    slots: list[SlotToWrite] = []
    kinds: Kinds = {}
    for index, write in enumerate(writes):
        with suppress(Refusal):
            slots.append(SlotToWrite(index, write, *take_apart(write.resource, write.id, base_url, kinds)))
        await asyncio.sleep(0)  # others have their turn between two slots
    return slots


async def _acceptable(
    connection: Connection, slots: Sequence[SlotToWrite]
) -> list[tuple[SlotToWrite, VersionToWrite]]:
    """Returns the versions to write, and locks everything that they depend on."""
    if not slots:
        return []
    named = [slot for slot in slots if not slot.is_new]
    places = await connection.fetch(_PLACES, [slot.row.id for slot in named]) if named else []
    agendas = await _agendas(connection, slots, places)
    current = await _lock(connection, named, places) if places else {}
    found = {place["id"] for place in places}
    unused = await _claim(
        connection, [slot for slot in named if slot.row.id not in found and slot.write.may_create]
    )
    moment = slots[0].write.context.now  # all are of one request
    accepted = []
    for slot in slots:
        agenda = agendas.get(slot.kind.schedule_id)
        if agenda is None or not _owned(slot.write, agenda):
            continue
        after = current.get(slot.row.id)
        if slot.is_new or slot.row.id in unused or (after is not None and _may_replace(slot, agenda, after)):
            accepted.append((slot, VersionToWrite(slot.row, slot.kind, agenda["key"], after, moment)))
    return accepted


async def _agendas(
    connection: Connection, slots: Sequence[SlotToWrite], places: Sequence[Record]
) -> Mapping[str, Record]:
    """Returns the agendas (by Schedule id) in which the slots will be, read once nobody takes or frees their people or those
    of the agendas in which the slots were."""
    wanted = sorted({slot.kind.schedule_id for slot in slots})
    await connection.execute(_TURN, wanted, sorted({place["schedule_key"] for place in places}))
    return {row["id"]: row for row in await connection.fetch(_AGENDAS, wanted)}


async def _lock(
    connection: Connection, named: Sequence[SlotToWrite], places: Sequence[Record]
) -> Mapping[UUID, Record]:
    """Locks and returns the slots that still exist."""
    arguments = Arguments()
    required = named[0].write.required  # all are of one caller
    sql = _LOCK.format(
        visible="true" if required is None else visibility.bears(required, "kind", arguments),
        keys=arguments.add([place["schedule_key"] for place in places], "bigint[]"),
        starts=arguments.add([place["start"] for place in places], "timestamptz[]"),
        ids=arguments.add([place["id"] for place in places], "uuid[]"),
    )
    return {row["id"]: row for row in await connection.fetch(sql, *arguments.values)}


async def _claim(connection: Connection, slots: Iterable[SlotToWrite]) -> set[UUID]:
    """Returns the ids that nobody has or had, and keeps others from making these until this transaction ends."""
    ids = [slot.row.id for slot in slots]
    if not ids:
        return set()
    await connection.execute(CLAIM, ids)
    return set(ids) - {row["id"] for row in await connection.fetch(_USED, ids)}


def _owned(write: Write, agenda: Record) -> bool:
    try:
        require_owned(write.context, "Slot", agenda["terms"])
    except CreneauError:
        return False
    return True


def _may_replace(slot: SlotToWrite, agenda: Record, current: Record) -> bool:
    """Whether the caller may change the slot, and whether it stays in its place if it is taken."""
    place = (agenda["key"], slot.row.start, slot.row.end)
    stays = place == (current["schedule_key"], current["start"], current["end"])
    return current["visible"] and (stays or not current["taken"])


async def keys_of_kinds(
    connection: Connection, context: WriteContext, versions: Sequence[VersionToWrite]
) -> Mapping[tuple[int, bytes], int]:
    """Returns the keys of the kinds, by agenda and digest, made if they are new; the agendas note their longest slots."""
    longest: dict[int, timedelta] = {}
    wanted: dict[tuple[int, bytes], SlotKind] = {}
    for version in versions:
        length = version.row.end - version.row.start
        longest[version.agenda] = max(longest.get(version.agenda, length), length)
        wanted[version.agenda, version.kind.digest] = version.kind
    agendas, digests = zip(*wanted, strict=True)
    spoken = spoken_at(context)
    rows = await connection.fetch(
        _KINDS, list(longest), list(longest.values()), list(agendas), list(digests), spoken
    )
    keys = {(row["schedule_key"], row["digest"]): row["key"] for row in rows if row["key"] is not None}
    if spoken is not None:
        await note_agendas(connection, [r["schedule_key"] for r in rows if r["key"] is None], spoken)
    if missing := [place for place in wanted if place not in keys]:
        kinds = [wanted[place] for place in missing]
        rows = await connection.fetch(
            _NEW_KINDS,
            [agenda for agenda, _ in missing],
            [digest for _, digest in missing],
            [kind.members for kind in kinds],
            [kind.meta for kind in kinds],
            [dumps(kind.terms).decode() for kind in kinds],
            [kind.words for kind in kinds],
            [kind.capacity for kind in kinds],
        )
        keys |= {(row["schedule_key"], row["digest"]): row["key"] for row in rows}
    return keys


def columns_of(versions: Sequence[VersionToWrite], kinds: Mapping[tuple[int, bytes], int]) -> list[list[Any]]:
    """The arrays of `_GIVEN`."""
    rows = [
        (
            row.id,
            row.name,
            row.start,
            row.end,
            row.status,
            row.extra,
            _TERM_END.join(row.terms) if row.terms else None,
            row.words,
            version.agenda,
            kinds[version.agenda, version.kind.digest],
            version.now,
            version.number,
        )
        for version in versions
        for row in (version.row,)
    ]
    return [list(column) for column in zip(*rows, strict=True)]
