"""Brings the slots of one agenda to what its software says, by difference, in one transaction.

Locks, in the order of everybody else: the agenda's row (so two synchronisations of it follow each other), the turn of its
people, the slots that are to change. Compares again if one of these slots has changed before it was locked; neither locks
nor writes unchanged slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from creneau_booking.domain.parts_sent import Part, parts_around_taken
from creneau_booking.domain.refusals.feeds import AgendaWrittenMeanwhile, SlotSentTwice
from creneau_booking.domain.refusals.offering import SlotMadeMeanwhile
from creneau_booking.domain.synchronising import ECHOES, Difference, Known, SaidSlot, Sent, difference
from creneau_booking.storage.availability.actors import write_beside
from creneau_booking.storage.availability.freed import note_agendas, note_awaited, note_freed
from creneau_booking.storage.availability.freshness import IS_BACK
from creneau_booking.storage.mapping.places import HOLDER
from creneau_booking.storage.mapping.slot import OVERBOOKED, SUPERSEDE, SlotKind, SlotRow
from creneau_booking.storage.slots.together import (
    CLAIM,
    INSERT_UNSEEN,
    REPLACE_MANY,
    VersionToWrite,
    columns_of,
    keys_of_kinds,
)
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import owned_by, require_owned
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.ids import new_uuid

COMPARED_AGAIN_MAX = 5
"""how often the comparison is made, as slots may change meanwhile"""
_ID_TERM = "identifier="

_AGENDA = "SELECT key, terms FROM schedule WHERE id = $1 AND NOT deleted"
_SYNCHRONISED = (
    "UPDATE agenda SET synchronised_at = greatest(synchronised_at, $2) WHERE schedule_key = $1"
    f" RETURNING {IS_BACK.format(now='$2')}"
)
_KNOWN = f"""
SELECT slot.id, slot.name, slot.start, slot."end", slot.said::text AS said, {HOLDER} AS taken_by,
  coalesce(slot.places, 0) > 0 AS has_room, slot.places IS NOT NULL AS is_group,
  nullif(replace(slot.extra, '{OVERBOOKED}', ''), '') AS extra, slot.terms,
  slot.version, slot.last_updated, kind.digest, slot.schedule_key,
  slot.start >= $2::timestamptz AND slot.start < $3::timestamptz AS in_window
FROM slot JOIN slot_kind kind ON kind.key = slot.kind_key
WHERE slot.schedule_key = $1
"""
_IN_REACH = f"{_KNOWN} AND slot.start >= $2 AND slot.start < $4"
# Joined by hash, not `terms && $5`: for thousands of terms the index takes a thousand times longer, in every agenda.
_BY_NAME = f"""{_KNOWN} AND (slot.start < $2 OR slot.start >= $3) AND slot.id IN (
  SELECT unnest($4::uuid[]) UNION ALL
  SELECT other.id FROM slot AS other CROSS JOIN unnest(other.terms) AS bears (term)
    JOIN unnest($5::text[]) AS wanted (term) ON wanted.term = bears.term
  WHERE other.schedule_key = $1 AND (other.start < $2 OR other.start >= $3))
"""
_LOCKED = """
SELECT slot.id, slot.version FROM unnest($2::timestamptz[], $3::uuid[]) AS place (start, id)
JOIN slot ON slot.schedule_key = $1 AND slot.start = place.start AND slot.id = place.id
ORDER BY slot.start, slot.id FOR UPDATE OF slot
"""
_USED = """
SELECT id, true AS taken, 0 AS version, NULL::timestamptz AS last_updated FROM slot WHERE id = ANY($1::uuid[])
UNION ALL (SELECT DISTINCT ON (id) id,
    NOT EXISTS (SELECT FROM schedule WHERE schedule.key = schedule_key AND ($2::text[] IS NULL OR terms && $2)),
    version, last_updated
  FROM slot_history WHERE id = ANY($1::uuid[]) ORDER BY id, version DESC)
"""
"""Which of these ids are taken: by a slot that exists, or by a former one in an agenda of others than these ($2: internal
terms; NULL: anybody's). The others with their last version."""
_CLOSURES = """
SELECT lower(period) AS start, upper(period) AS until FROM agenda_closure
WHERE schedule_key = $1 AND period && tstzrange($2, $3)
"""
_NAMED = "unnest($2::timestamptz[], $3::uuid[]) AS named (start, id)"
_KEEP_CLOSED = f"""
INSERT INTO agenda_closed_slot (schedule_key, start, id) SELECT $1, start, id FROM {_NAMED} ON CONFLICT DO NOTHING
"""
_SAID_CLOSED = f"""
DELETE FROM agenda_closed_slot AS closed USING {_NAMED}
WHERE closed.schedule_key = $1 AND closed.start = named.start AND closed.id = named.id
"""
_REMOVE = f"""
WITH gone AS (
  DELETE FROM slot USING unnest($2::timestamptz[], $3::uuid[]) AS place (start, id)
  WHERE slot.schedule_key = $1 AND slot.start = place.start AND slot.id = place.id AND slot.taken_by IS NULL
  RETURNING slot.*
), moment AS MATERIALIZED (
  SELECT gone.schedule_key, gone.id, gone.version + 1 AS version, gone.start, gone."end", gone.kind_key,
    greatest($4::timestamptz, gone.last_updated) AS now, gone.name FROM gone
), recorded AS (
  {SUPERSEDE}
  SELECT gone.schedule_key, gone.id, gone.version, gone.start, gone."end", gone.kind_key, gone.last_updated, gone.status,
    gone.name, gone.extra, gone.places, moment.now FROM gone JOIN moment USING (id, start)
  UNION ALL
  SELECT schedule_key, id, version, start, "end", kind_key, now, NULL, name, NULL, NULL, now FROM moment
)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class SlotSent:
    """One slot of a synchronisation, taken apart; `id` where the software chose one."""

    row: SlotRow
    kind: SlotKind
    id: str | None
    in_absence: bool = False
    """whether it is a part of a longer time that was sent, in which nobody is there"""


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open period in which the sent slots are the whole truth; `whole` False: they are added to what is."""

    start: datetime
    end: datetime
    whole: bool


async def own_agenda(connection: Connection, context: WriteContext, schedule: str) -> int | None:
    """Returns the key of the agenda (id), None without it; raises Forbidden if it is another practice's."""
    agenda = await connection.fetchrow(_AGENDA, schedule)
    if agenda is None:
        return None
    require_owned(context, "Schedule", agenda["terms"])
    return int(agenda["key"])


async def lock_agenda(connection: Connection, context: WriteContext, agenda: int) -> None:
    """Keeps others from synchronising the agenda (key), and from taking or freeing its people, until the commit."""
    await write_beside(connection, [agenda])
    is_back = await connection.fetchval(_SYNCHRONISED, agenda, context.now)
    await note_agendas(connection, [agenda] if is_back else [], context.now)


async def synchronise(
    connection: Connection,
    context: WriteContext,
    schedule: str,
    agenda: int,
    sent: Sequence[SlotSent],
    window: Window,
) -> Difference:
    """Brings the slots of the agenda (id, key) to what is sent, and returns the difference. Raises SlotSentTwice,
    SlotMadeMeanwhile (an id that another agenda's slot has), AgendaWrittenMeanwhile."""
    _require_distinct(sent)
    said = [_sent(one) for one in sent]
    closures = await _closures(connection, agenda, sent)
    for _ in range(COMPARED_AGAIN_MAX):
        rows = await _known(connection, agenda, sent, said, window)
        known = [_as_known(row) for row in rows]
        parts = _parts(sent, parts_around_taken(known, said))
        parts, closed = _under_closures(closures, parts)
        found = difference(
            known, said if parts is sent else [_sent(one) for one in parts], whole=window.whole
        )
        changing = [rows[index] for index in found.deleted] + [rows[index] for index, _ in found.updated]
        if await _lock(connection, agenda, changing):
            break
    else:
        raise AgendaWrittenMeanwhile(schedule)
    if found.deleted:
        gone = [rows[index] for index in found.deleted]
        starts, ids = [row["start"] for row in gone], [row["id"] for row in gone]
        await connection.execute(_REMOVE, agenda, starts, ids, context.now)
    await _write(connection, context, agenda, parts, rows, found)
    if closures:
        await _remember(connection, agenda, parts, rows, found, closed)
    return found


async def _closures(connection: Connection, agenda: int, sent: Sequence[SlotSent]) -> Sequence[Record]:
    """Returns the times that the practice has closed (`Schedule/$close`) among those of the sent slots."""
    if not sent:
        return ()
    low, high = min(one.row.start for one in sent), max(one.row.end for one in sent)
    rows: Sequence[Record] = await connection.fetch(_CLOSURES, agenda, low, high)
    return rows


def _parts(sent: Sequence[SlotSent], apart: Mapping[int, Sequence[Part]]) -> Sequence[SlotSent]:
    """Returns what is sent, with the parts in place of the slots (indexes) that are taken apart."""
    if not apart:
        return sent
    return [
        part
        for index, one in enumerate(sent)
        for part in ([_part(one, part) for part in apart[index]] if index in apart else [one])
    ]


def _part(one: SlotSent, part: Part) -> SlotSent:
    row = replace(one.row, start=part.start, end=part.end)
    is_absence = row.status not in ("free", *ECHOES)
    if part.bears_name:
        return replace(one, row=row, in_absence=is_absence)
    row = replace(row, id=new_uuid(), name=None, extra=None, terms=None, words=None)
    return SlotSent(row, one.kind, None, is_absence)


def _under_closures(
    closures: Sequence[Record], sent: Sequence[SlotSent]
) -> tuple[Sequence[SlotSent], frozenset[int]]:
    """Returns what is sent as it is to stand, and which of it (indexes) the practice has closed. A feed knows nothing of
    that, and does not open them."""
    if not closures:
        return sent, frozenset()
    under, closed = list(sent), set()
    for index, one in enumerate(sent):
        row = one.row
        if row.status == "free" and any(c["start"] < row.end and row.start < c["until"] for c in closures):
            under[index] = replace(one, row=replace(row, status="busy-unavailable"))
            closed.add(index)
    return under, frozenset(closed)


async def _remember(
    connection: Connection,
    agenda: int,
    sent: Sequence[SlotSent],
    rows: Sequence[Record],
    found: Difference,
    closed: frozenset[int],
) -> None:
    """Remembers which slots are free again once the closure is taken back: those of the sent ones (indexes) that it alone has
    closed, and none that the feed itself says to be closed."""
    ids = {index: rows[at]["id"] for index, at in found.there.items()}
    ids |= {index: sent[index].row.id for index in found.created}
    own = [index for index in ids if index not in closed and sent[index].row.status == "busy-unavailable"]
    for statement, indexes in ((_KEEP_CLOSED, [i for i in ids if i in closed]), (_SAID_CLOSED, own)):
        if indexes:
            starts = [sent[index].row.start for index in indexes]
            await connection.execute(statement, agenda, starts, [ids[index] for index in indexes])


def _require_distinct(sent: Sequence[SlotSent]) -> None:
    seen: set[str] = set()
    for one in sent:
        if one.id is not None:
            if one.id in seen:
                raise SlotSentTwice(one.id)
            seen.add(one.id)


def _sent(one: SlotSent) -> Sent:
    row = one.row
    said = SaidSlot(row.start, row.end, row.status, one.kind.digest, row.extra, _identifiers(row.terms))
    return Sent(said, one.id, one.in_absence)


def _as_known(row: Record) -> Known:
    return Known(
        id=row["name"] or str(row["id"]),
        said=SaidSlot(
            row["start"], row["end"], row["said"], row["digest"], row["extra"], _identifiers(row["terms"])
        ),
        taken_by=row["taken_by"],
        has_room=row["has_room"],
        named=row["name"] is not None,
        in_window=row["in_window"],
        is_group=row["is_group"],
    )


def _identifiers(terms: Sequence[str] | None) -> frozenset[str]:
    """Returns the search terms that tell one identifier from all others: with its system, if it has one."""
    if not terms:
        return frozenset()
    return frozenset(
        [term for term in terms if "|" in term and term[-1] != "|" and term.startswith(_ID_TERM)]
    )


async def _known(
    connection: Connection, agenda: int, sent: Sequence[SlotSent], said: Sequence[Sent], window: Window
) -> list[Record]:
    """Returns the slots of the window and of the time of what is sent, which may end after it, and those elsewhere in the
    agenda that the sent ones name."""
    reach = max([window.end, *(one.said.end for one in said)])
    rows = list(await connection.fetch(_IN_REACH, agenda, window.start, window.end, reach))
    known = {row["id"] for row in rows}
    named = {term for row in rows if row["terms"] for term in row["terms"]}
    ids = [one.row.id for one in sent if one.id is not None and one.row.id not in known]
    terms = sorted({term for one in said for term in one.said.identifiers} - named)
    if ids or terms:
        rows += await connection.fetch(_BY_NAME, agenda, window.start, window.end, ids, terms)
    return rows


async def _lock(connection: Connection, agenda: int, rows: Sequence[Record]) -> bool:
    """Locks what is to change; returns whether it is still as compared."""
    if not rows:
        return True
    starts, ids = [row["start"] for row in rows], [row["id"] for row in rows]
    locked = await connection.fetch(_LOCKED, agenda, starts, ids)
    versions = {row["id"]: row["version"] for row in locked}
    return all(versions.get(row["id"]) == row["version"] for row in rows)


async def _write(
    connection: Connection,
    context: WriteContext,
    agenda: int,
    sent: Sequence[SlotSent],
    rows: Sequence[Record],
    found: Difference,
) -> None:
    now = context.now
    changed = [_changed(agenda, sent[index], rows[at], now) for at, index in found.updated]
    fresh = await _fresh(connection, context, agenda, [sent[index] for index in found.created], now)
    if not changed and not fresh:
        return
    kinds = await keys_of_kinds(connection, context, [*changed, *fresh])
    if changed:
        places = [version.after for version in changed if version.after is not None]
        starts = [place["start"] for place in places]
        values = columns_of(changed, kinds)
        written = await connection.fetch(REPLACE_MANY, *values, [agenda] * len(places), starts)
        note_awaited(connection, written, context.now)
    if fresh:
        [made] = await connection.fetch(INSERT_UNSEEN, *columns_of(fresh, kinds))
        note_freed(connection, zip(made["ids"] or (), made["starts"] or (), strict=True), context.now)
        if made["made"] < len(fresh):
            raise SlotMadeMeanwhile(fresh[0].row.name or str(fresh[0].row.id))


def _changed(agenda: int, one: SlotSent, row: Record, now: datetime) -> VersionToWrite:
    """Returns the next version of a slot, under the id that it has. If the slot is taken here, the software's `busy` is only
    an echo of that, and does not keep it from being free again."""
    keeps = row["taken_by"] is not None and not row["has_room"] and one.row.status in ECHOES
    written = replace(
        one.row, id=row["id"], name=row["name"], status=row["said"] if keeps else one.row.status
    )
    return VersionToWrite(written, one.kind, agenda, row, now)


async def _fresh(
    connection: Connection, context: WriteContext, agenda: int, sent: Sequence[SlotSent], now: datetime
) -> list[VersionToWrite]:
    """Returns first versions of slots under new ids or, for those that existed before, the next versions under their own. An
    id that was another practice's stays so."""
    chosen = [one.row.id for one in sent if one.id is not None]
    before: dict[UUID, Record] = {}
    if chosen:
        await connection.execute(CLAIM, chosen)
        ours = None if context.organizations is None else owned_by(context.organizations)
        for row in await connection.fetch(_USED, chosen, ours):
            if row["taken"]:
                raise SlotMadeMeanwhile(next(one.id or "" for one in sent if one.row.id == row["id"]))
            before[row["id"]] = row
    return [VersionToWrite(one.row, one.kind, agenda, before.get(one.row.id), now) for one in sent]
