"""Slots: narrow rows with shared kinds (see `tables`), served as if each were stored whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from creneau_booking.domain.refusals.feeds import NewAgendaBusy
from creneau_booking.domain.refusals.offering import SlotClaimed, SlotMadeMeanwhile, UnknownAgenda
from creneau_booking.storage.availability.actors import TURN_BESIDE, try_beside
from creneau_booking.storage.availability.freed import AWAITED, note_agendas, note_freed
from creneau_booking.storage.availability.freshness import IS_BACK, WORD_COUNTS, heard, spoken_at
from creneau_booking.storage.availability.rule import JUDGED, KEEP_CLOSED, UNDER_CLOSURES
from creneau_booking.storage.mapping import visibility
from creneau_booking.storage.mapping.places import GROUP, left_sql, status_sql
from creneau_booking.storage.mapping.slot import (
    ECHOED,
    KEEPING_OVERBOOKED,
    SUPERSEDE,
    SUPERSEDED,
    SUPERSEDED_COLUMNS,
    SlotKind,
    as_served,
    content_sql,
    row_values,
    schedule_id,
    slot_key,
    take_apart,
)
from creneau_booking.storage.slots import together as slots_together
from creneau_booking.storage.slots.choreography import slot_moved_by_itself
from creneau_booking.storage.unshown import real_slot
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.fhir.storage.generic import require_owned
from creneau_shared.fhir.storage.history_sql import VersionRows, history_statement, total_statement
from creneau_shared.fhir.storage.store import HistoryQuery, Resource, Stored, Write, WriteContext
from creneau_shared.ids import new_id

_OF_KIND = "JOIN slot_kind kind ON kind.key = {row}.kind_key"
_COLUMNS = (
    f"coalesce(slot.name, slot.id::text), slot.version, slot.last_updated, {content_sql('slot', 'kind')}"
)
_CURRENT = f"""
SELECT {_COLUMNS} FROM slot {_OF_KIND.format(row="slot")}
"""
_LOCK = f"""
WITH turn AS MATERIALIZED (
  SELECT waited FROM {TURN_BESIDE.format(agendas="schedule_key IN (SELECT schedule_key FROM slot WHERE id = $1)")} AS beside
), locked AS MATERIALIZED (
  SELECT slot.* FROM turn CROSS JOIN slot WHERE slot.id = $1 AND turn.waited >= 0 FOR UPDATE OF slot
)
SELECT {_COLUMNS}, slot.schedule_key <> (SELECT seen.schedule_key FROM slot AS seen WHERE seen.id = $1) AS went
FROM locked AS slot LEFT {_OF_KIND.format(row="slot")}
"""
"""`went`: during the wait the slot has moved to another agenda than that whose people were waited for"""
# Whether an id is claimed is no condition on `turn`: without one PostgreSQL would not look at it, and nobody be waited for.
_KEYS = f"""
WITH turn AS MATERIALIZED (
  SELECT waited FROM {
    TURN_BESIDE.format(agendas="schedule_key = (SELECT key FROM schedule WHERE schedule.id = $1)")
} AS beside
), claimed AS MATERIALIZED (
  SELECT count(CASE WHEN $4::uuid IS NOT NULL THEN pg_advisory_xact_lock(hashtextextended($4::uuid::text, 0)) END) AS waited
  FROM turn WHERE turn.waited >= 0
), longer AS (
  UPDATE agenda SET slot_length_max = greatest(slot_length_max, $3),
    synchronised_at = CASE WHEN {WORD_COUNTS.format(now="$5")} THEN $5 ELSE synchronised_at END
  FROM schedule CROSS JOIN claimed
  WHERE claimed.waited >= 0 AND schedule.id = $1 AND agenda.schedule_key = schedule.key
    AND (slot_length_max < $3 OR {WORD_COUNTS.format(now="$5")})
  RETURNING agenda.schedule_key, {IS_BACK.format(now="$5")} AS is_back
)
SELECT schedule.key AS schedule, schedule.terms, kind.key AS kind, EXISTS (SELECT FROM longer WHERE is_back) AS is_back
FROM claimed CROSS JOIN schedule
LEFT JOIN slot_kind kind ON kind.schedule_key = schedule.key AND kind.digest = $2
WHERE schedule.id = $1 AND NOT schedule.deleted AND claimed.waited >= 0
"""
LEFT = "coalesce(places, (SELECT capacity FROM slot_kind WHERE slot_kind.key = kind_key))"
"""SQL: how many places are left of a slot with several; NULL: it has one."""
_INSERT = f"""
WITH fresh AS (
  SELECT $1::uuid AS id, $2::text AS name, $3::timestamptz AS start, $4::timestamptz AS "end",
    $5::slot_status AS asked, $9::bigint AS schedule_key,
    {UNDER_CLOSURES.format(said="$5::slot_status", start="$3::timestamptz", until="$4::timestamptz", schedule_key="$9")} AS said
), closed AS ({KEEP_CLOSED.format(slots="fresh")})
INSERT INTO slot (id, name, start, "end", status, said, extra, terms, words, schedule_key, kind_key, last_updated, version)
SELECT id, name, start, "end", {JUDGED.format(slot="fresh", besides="''")}, said, $6, $7, $8::text::tsvector,
  schedule_key, $10, $11, $12
FROM fresh WHERE NOT EXISTS (SELECT FROM slot WHERE slot.id = $1)
ON CONFLICT DO NOTHING RETURNING status::text AS served, {LEFT} AS places_left, {AWAITED.format(slot="slot")} AS awaited
"""
_REPLACE = f"""
WITH said AS (
  SELECT $1::uuid AS id, $2::timestamptz AS start, $3::timestamptz AS "end",
    $4::slot_status AS asked, $8::bigint AS schedule_key,
    {UNDER_CLOSURES.format(said="$4::slot_status", start="$2::timestamptz", until="$3::timestamptz", schedule_key="$8")} AS said
), closed AS ({KEEP_CLOSED.format(slots="said")}), replaced AS (
  UPDATE slot SET start = said.start, "end" = said."end", said = {ECHOED},
    status = CASE WHEN slot.taken_by IS NULL THEN {JUDGED.format(slot="said", besides="''")}
      WHEN slot.places IS NOT NULL THEN {status_sql("said.said", left_sql("slot", "$9"))} ELSE slot.status END,
    places = CASE WHEN slot.places IS NOT NULL THEN {left_sql("slot", "$9")} END,
    extra = {KEEPING_OVERBOOKED.format(extra="$5::text")}, terms = $6,
    words = $7::text::tsvector, schedule_key = said.schedule_key, kind_key = $9,
    last_updated = $10, version = $11, generated = NULL
  FROM said WHERE slot.id = said.id
  RETURNING {SUPERSEDED}, new.status::text AS served, coalesce(new.places,
    (SELECT capacity FROM slot_kind WHERE slot_kind.key = new.kind_key)) AS places_left, {AWAITED.format(slot="new")} AS awaited
), superseded AS (
  {SUPERSEDE} SELECT {SUPERSEDED_COLUMNS} FROM replaced
)
SELECT served, places_left, awaited FROM replaced
"""
_REMOVE = f"""
WITH gone AS (DELETE FROM slot WHERE id = $1 RETURNING *), moment AS (SELECT $2::timestamptz AS now), left_out AS (
  INSERT INTO opening_left_out SELECT schedule_key, start, "end" FROM gone WHERE generated ON CONFLICT DO NOTHING
)
{SUPERSEDE}
SELECT schedule_key, id, version, start, "end", kind_key, last_updated, status, name, extra, places, now FROM gone, moment
UNION ALL
SELECT schedule_key, id, version + 1, start, "end", kind_key, now, NULL, name, NULL, NULL, now FROM gone, moment
"""
_PAST = f"""
SELECT coalesce(past.name, past.id::text), past.version, past.last_updated,
  CASE WHEN past.status IS NOT NULL THEN {content_sql("past", "kind")} END
FROM slot_history past {_OF_KIND.format(row="past")}
"""
_FORMER_AGENDA = """
SELECT schedule.id FROM slot_history AS past JOIN schedule ON schedule.key = past.schedule_key WHERE past.id = $1
ORDER BY past.version DESC LIMIT 1
"""
_GONE = """
SELECT coalesce(name, id::text), version, last_updated, NULL::bytea FROM slot_history WHERE id = $1
ORDER BY version DESC LIMIT 1
"""
_CURRENT_VERSIONS = VersionRows(
    select=_CURRENT,
    source="slot",
    alias="slot",
    served_id='coalesce(slot.name, slot.id::text) COLLATE "C"',
    deletion="false",
    bears=lambda terms, arguments: visibility.bears(terms, "kind", arguments),
    only=real_slot("slot"),
)
_PAST_VERSIONS = VersionRows(
    select=_PAST,
    source="slot_history",
    alias="past",
    served_id='coalesce(past.name, past.id::text) COLLATE "C"',
    deletion="past.status IS NULL",
    bears=lambda terms, arguments: visibility.bears(terms, "kind", arguments),
    only=real_slot("past"),
    ended="superseded_at",
)


class SlotStore:
    """The `ResourceStore` of Slot."""

    resource_type = "Slot"

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    # -- reading ---------------------------------------------------------------------------------------------

    async def read(self, connection: Connection, id_: str) -> Stored | None:
        key = slot_key(id_)
        row = await connection.fetchrow(f"{_CURRENT} WHERE slot.id = $1", key)
        return _stored(row) or await self._gone(connection, key)

    async def read_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        """The current version of each id that was ever used."""
        rows = await connection.fetch(f"{_CURRENT} WHERE slot.id = ANY($1)", [slot_key(id_) for id_ in ids])
        found = {row[0]: Stored("Slot", *row) for row in rows}
        for id_ in ids:
            if id_ not in found and (gone := await self._gone(connection, slot_key(id_))):
                found[id_] = gone
        return found

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        """Locks and returns the current version, after waiting for whoever takes or frees the agenda's people."""
        key = slot_key(id_)
        locked = await connection.fetchrow(_LOCK, key)
        if locked is None:
            return await self._gone(connection, key)
        stored = _stored(tuple(locked)[:4])
        if locked[3] is None:  # its kind is newer than the statement, which had to wait
            stored = _stored(await connection.fetchrow(f"{_CURRENT} WHERE slot.id = $1", key))
        if stored is None:
            return await self._gone(connection, key)
        if locked["went"]:
            await self._require_room(connection, schedule_id(loads(stored.content or b"{}"), self._base_url))
        return stored

    async def read_version(
        self, connection: Connection, id_: str, version: int, required: Sequence[str] | None = None
    ) -> Stored | None:
        arguments = Arguments()
        key, number = arguments.add(slot_key(id_), "uuid"), arguments.add(version, "integer")
        shown = "true" if required is None else visibility.bears(required, "kind", arguments)
        row = await connection.fetchrow(
            f"{_CURRENT} WHERE slot.id = {key} AND slot.version = {number} AND {shown}"
            f" UNION ALL {_PAST} WHERE past.id = {key} AND past.version = {number} AND {shown}",
            *arguments.values,
        )
        return _stored(row)

    async def has_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        arguments = Arguments()
        shown, key = visibility.bears(terms, "kind", arguments), arguments.add(slot_key(id_), "uuid")
        # The last version of a slot that is gone stands in its history only.
        rows = f"""
        SELECT slot.schedule_key, slot.kind_key FROM slot WHERE slot.id = {key}
        UNION ALL SELECT past.schedule_key, past.kind_key FROM slot_history past
          WHERE past.id = {key} AND past.status IS NULL"""
        sql = f"SELECT EXISTS (SELECT FROM slot_kind kind WHERE (kind.schedule_key, kind.key) IN ({rows}) AND {shown})"
        return bool(await connection.fetchval(sql, *arguments.values))

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        arguments = Arguments()
        shown, key = visibility.bears(terms, "kind", arguments), arguments.add(slot_key(id_), "uuid")
        rows = (
            f"SELECT schedule_key, kind_key FROM slot WHERE id = {key}"
            f" UNION SELECT schedule_key, kind_key FROM slot_history WHERE id = {key}"
        )
        sql = f"SELECT EXISTS (SELECT FROM slot_kind kind WHERE (kind.schedule_key, kind.key) IN ({rows}) AND {shown})"
        return bool(await connection.fetchval(sql, *arguments.values))

    async def history(self, connection: Connection, query: HistoryQuery) -> Sequence[Stored]:
        key = slot_key(query.id) if query.id is not None else None
        statement = history_statement(query, key, "uuid", _CURRENT_VERSIONS, _PAST_VERSIONS)
        rows = await connection.fetch(statement.sql, *statement.values)
        return [Stored("Slot", *row) for row in rows]

    async def history_total(self, connection: Connection, query: HistoryQuery, most: int | None) -> int:
        key = slot_key(query.id) if query.id is not None else None
        statement = total_statement(query, key, "uuid", _CURRENT_VERSIONS, _PAST_VERSIONS, most)
        return int(await connection.fetchval(statement.sql, *statement.values))

    async def _gone(self, connection: Connection, key: UUID) -> Stored | None:
        """Returns the last known version of a slot that is no more: deleted, or dropped with its month."""
        return _stored(await connection.fetchrow(_GONE, key))

    async def rebased(
        self, connection: Connection, current: Stored, version: int, resource: Resource | None
    ) -> Resource | None:
        """See `MovesByItself`: appointments move their slots."""
        read = await self.read_version(connection, current.id, version)
        row = await connection.fetchrow(
            "SELECT said::text, taken_by IS NOT NULL AS taken FROM slot WHERE id = $1", slot_key(current.id)
        )
        if read is None or read.content is None or current.content is None or row is None:
            return None
        by_itself = slot_moved_by_itself(
            loads(read.content), loads(current.content), row["said"], resource, taken=row["taken"]
        )
        return (resource or {}) if by_itself else None

    # -- writing ---------------------------------------------------------------------------------------------

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        if id_ is None:
            return await self._insert(connection, context, resource, new_id(), 1)
        return await self._insert(connection, context, resource, id_, 1, rivals=True)

    async def replace(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Stored:
        version = current.version + 1
        if current.deleted:
            await self._require_room_anew(connection, current, schedule_id(resource, self._base_url))
            return await self._insert(connection, context, resource, current.id, version, rivals=True)
        key = slot_key(current.id)
        await self._refuse_if_taken(connection, current.id, key, resource)
        now = max(context.now, current.last_updated)
        row, kind = take_apart(resource, current.id, self._base_url)
        await self._require_room(connection, kind.schedule_id)
        keys = await self._keys(connection, context, kind, row.end - row.start)
        written = await connection.fetchrow(_REPLACE, key, *row_values(row)[2:], *keys, now, version)
        assert written is not None
        if written["awaited"]:
            note_freed(connection, [(key, row.start)], context.now)
        shown = {**resource, "status": written["served"]}
        return as_served(shown, current.id, version, now, written["places_left"])

    async def _require_room_anew(self, connection: Connection, current: Stored, schedule: str) -> None:
        """`_require_room` for a deleted slot that is made anew in another agenda: it may have been deleted while `lock` waited
        with the people of the old one."""
        former: str | None = await connection.fetchval(_FORMER_AGENDA, slot_key(current.id))
        if former not in (None, schedule):
            await self._require_room(connection, schedule)

    @staticmethod
    async def _require_room(connection: Connection, schedule: str) -> None:
        """Raises NewAgendaBusy if the people of the agenda (id) in which a slot is written are being taken or freed. The slot was
        locked with the people of its old agenda, or of the same one before it got others: to wait for more could be to wait
        in a circle."""
        if not await try_beside(connection, schedule):
            raise NewAgendaBusy(schedule)

    async def write_many(self, connection: Connection, writes: Sequence[Write]) -> Sequence[Stored | None]:
        return await slots_together.write_many(connection, writes, self._base_url)

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        key = slot_key(current.id)
        await self._refuse_if_taken(connection, current.id, key, None)
        now = max(context.now, current.last_updated)
        await connection.execute(
            _REMOVE,
            key,
            now,
        )
        if current.content is not None:
            await heard(connection, schedule_id(loads(current.content), self._base_url), context)
        return Stored("Slot", current.id, current.version + 1, now, None)

    async def _insert(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str,
        version: int,
        *,
        rivals: bool = False,
    ) -> Stored:
        """`rivals`: somebody else may be making a slot of this id."""
        now = context.now
        row, kind = take_apart(resource, id_, self._base_url)
        # `id` alone is not unique across agendas and months, so rivals with one id wait for each other here, before the
        # statement that looks whether there is one.
        keys = await self._keys(connection, context, kind, row.end - row.start, row.id if rivals else None)
        written = await connection.fetchrow(_INSERT, *row_values(row), *keys, now, version)
        if written is None:
            raise SlotMadeMeanwhile(id_)
        if written["awaited"]:
            note_freed(connection, [(row.id, row.start)], context.now)
        return as_served({**resource, "status": written["served"]}, id_, version, now, written["places_left"])

    async def _refuse_if_taken(
        self, connection: Connection, id_: str, key: UUID, resource: Resource | None
    ) -> None:
        """Raises SlotClaimed if a booked or held slot would be moved or removed behind the appointment's back.

        What else the agenda says of the slot is kept: it holds again once the slot is given back.
        """
        taken = await connection.fetchrow(
            'SELECT slot.start, slot."end", slot.taken_by, schedule.id AS schedule FROM slot'
            " JOIN schedule ON schedule.key = slot.schedule_key WHERE slot.id = $1 AND slot.taken_by IS NOT NULL",
            key,
        )
        if taken is None or (resource is not None and self._stays_in_place(resource, taken)):
            return
        holder: str = taken["taken_by"]
        if holder.startswith(GROUP):
            holder = await connection.fetchval(
                "SELECT min(appointment_id) FROM slot_place WHERE slot_id = $1", key
            )
        raise SlotClaimed(id_, holder)

    def _stays_in_place(self, resource: Resource, taken: Record) -> bool:
        """Whether a new version leaves a taken slot at its time and in its agenda."""
        times = (instant_of(resource["start"]), instant_of(resource["end"]))
        return (
            times == (taken["start"], taken["end"])
            and schedule_id(resource, self._base_url) == taken["schedule"]
        )

    async def _keys(
        self,
        connection: Connection,
        context: WriteContext,
        kind: SlotKind,
        length: timedelta,
        claimed: UUID | None = None,
    ) -> tuple[int, int]:
        """Returns the keys of the schedule and of the kind, made if it is new. Raises UnknownAgenda without the schedule,
        Forbidden if it is another practice's. From here on nobody takes or frees the agenda's people, nor makes a slot with
        the id `claimed`."""
        row = await connection.fetchrow(
            _KEYS, kind.schedule_id, kind.digest, length, claimed, spoken_at(context)
        )
        if row is None:
            raise UnknownAgenda(kind.schedule_id)
        require_owned(context, "Slot", row["terms"])
        if row["is_back"]:
            await note_agendas(connection, [row["schedule"]], context.now)
        if row["kind"] is not None:
            return row["schedule"], row["kind"]
        kind_key = await connection.fetchval(
            "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms, words, own_capacity)"
            " VALUES ($1, $2, $3, $4, $5, $6::text::tsvector, $7)"
            " ON CONFLICT (schedule_key, digest) DO UPDATE SET digest = excluded.digest RETURNING key",
            row["schedule"],
            kind.digest,
            kind.members,
            kind.meta,
            list(kind.terms),
            kind.words,
            kind.capacity,
        )
        return row["schedule"], kind_key


def _stored(row: Sequence[Any] | Record | None) -> Stored | None:
    return Stored("Slot", *row) if row is not None else None
