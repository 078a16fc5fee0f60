"""Slots: narrow rows with shared kinds (see `tables`), served as if each were stored whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from creneau_booking.storage import slot_visibility
from creneau_booking.storage.slot_rows import (
    SlotKind,
    content_sql,
    row_values,
    schedule_id,
    slot_key,
    take_apart,
)
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.fhir.storage.generic import require_owned, stamp, to_milliseconds
from creneau_shared.fhir.storage.history_sql import VersionRows, history_statement, total_statement
from creneau_shared.fhir.storage.store import HistoryQuery, Resource, Stored, WriteContext
from creneau_shared.ids import new_id

_CURRENT = f"""
SELECT coalesce(slot.name, slot.id::text), slot.version, slot.last_updated, {content_sql("slot", "kind")}
FROM slot JOIN slot_kind kind ON kind.key = slot.kind_key
"""
_PAST_CONTENT = f"CASE WHEN past.status IS NOT NULL THEN {content_sql('past', 'kind')} END"
_PAST = f"""
SELECT coalesce(past.name, past.id::text), past.version, past.last_updated, {_PAST_CONTENT}
FROM slot_history past JOIN slot_kind kind ON kind.key = past.kind_key
"""
_CURRENT_VERSIONS = VersionRows(
    select=_CURRENT,
    source="slot",
    alias="slot",
    served_id='coalesce(slot.name, slot.id::text) COLLATE "C"',
    deletion="false",
    bears=lambda terms, arguments: slot_visibility.bears(terms, "kind", arguments),
)
_PAST_VERSIONS = VersionRows(
    select=_PAST,
    source="slot_history",
    alias="past",
    served_id='coalesce(past.name, past.id::text) COLLATE "C"',
    deletion="past.status IS NULL",
    bears=lambda terms, arguments: slot_visibility.bears(terms, "kind", arguments),
)
SUPERSEDE = """
INSERT INTO slot_history (id, version, start, "end", kind_key, last_updated, status, name, extra)
"""


class SlotStore:
    """The `ResourceStore` of Slot."""

    resource_type = "Slot"

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    # -- reading ---------------------------------------------------------------------------------------------

    async def read(self, connection: Connection, id_: str) -> Stored | None:
        key = slot_key(id_)
        row = await connection.fetchrow(f"{_CURRENT} WHERE slot.id = $1", key)
        return _stored(row) or await self._last_deletion(connection, key)

    async def read_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        """The current version of each id that was ever used."""
        rows = await connection.fetch(f"{_CURRENT} WHERE slot.id = ANY($1)", [slot_key(id_) for id_ in ids])
        found = {row[0]: Stored("Slot", *row) for row in rows}
        for id_ in ids:
            if id_ not in found and (deletion := await self._last_deletion(connection, slot_key(id_))):
                found[id_] = deletion
        return found

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        key = slot_key(id_)
        row = await connection.fetchrow(f"{_CURRENT} WHERE slot.id = $1 FOR UPDATE OF slot", key)
        return _stored(row) or await self._last_deletion(connection, key)

    async def read_version(
        self, connection: Connection, id_: str, version: int, required: Sequence[str] | None = None
    ) -> Stored | None:
        arguments = Arguments()
        key, number = arguments.add(slot_key(id_), "uuid"), arguments.add(version, "integer")
        shown = "true" if required is None else slot_visibility.bears(required, "kind", arguments)
        row = await connection.fetchrow(
            f"{_CURRENT} WHERE slot.id = {key} AND slot.version = {number} AND {shown}"
            f" UNION ALL {_PAST} WHERE past.id = {key} AND past.version = {number} AND {shown}",
            *arguments.values,
        )
        return _stored(row)

    async def has_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        arguments = Arguments()
        shown, key = slot_visibility.bears(terms, "kind", arguments), arguments.add(slot_key(id_), "uuid")
        # The last version of a slot that is gone stands in its history only.
        rows = f"""
        SELECT slot.kind_key FROM slot WHERE slot.id = {key}
        UNION ALL SELECT past.kind_key FROM slot_history past WHERE past.id = {key} AND past.status IS NULL"""
        sql = f"SELECT EXISTS (SELECT FROM slot_kind kind WHERE kind.key IN ({rows}) AND {shown})"
        return bool(await connection.fetchval(sql, *arguments.values))

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        arguments = Arguments()
        shown, key = slot_visibility.bears(terms, "kind", arguments), arguments.add(slot_key(id_), "uuid")
        rows = f"SELECT kind_key FROM slot WHERE id = {key} UNION SELECT kind_key FROM slot_history WHERE id = {key}"
        sql = f"SELECT EXISTS (SELECT FROM slot_kind kind WHERE kind.key IN ({rows}) AND {shown})"
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

    async def _last_deletion(self, connection: Connection, key: UUID) -> Stored | None:
        row = await connection.fetchrow(f"{_PAST} WHERE past.id = $1 ORDER BY past.version DESC LIMIT 1", key)
        return _stored(row)

    # -- writing ---------------------------------------------------------------------------------------------

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        return await self._insert(connection, context, resource, id_ or new_id(), 1)

    async def replace(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Stored:
        version = current.version + 1
        if current.deleted:
            return await self._insert(connection, context, resource, current.id, version)
        key = slot_key(current.id)
        await self._refuse_if_claimed(connection, current.id, key, resource)
        now = max(to_milliseconds(context.now), current.last_updated)
        row, kind = take_apart(resource, current.id, self._base_url)
        schedule_key, kind_key = await self._keys(connection, context, kind)
        await connection.execute(
            f'{SUPERSEDE} SELECT id, version, start, "end", kind_key, last_updated, status, name, extra'
            " FROM slot WHERE id = $1",
            key,
        )
        await connection.execute(
            'UPDATE slot SET start = $2, "end" = $3, status = $4, extra = $5, terms = $6, words = $7::text::tsvector,'
            " schedule_key = $8, kind_key = $9, last_updated = $10, version = $11 WHERE id = $1",
            key,
            *row_values(row)[2:],
            schedule_key,
            kind_key,
            now,
            version,
        )
        return _as_served(resource, current.id, version, now)

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        key = slot_key(current.id)
        await self._refuse_if_claimed(connection, current.id, key, None)
        now = max(to_milliseconds(context.now), current.last_updated)
        await connection.execute(
            f"WITH gone AS (DELETE FROM slot WHERE id = $1 RETURNING *) {SUPERSEDE}"
            ' SELECT id, version, start, "end", kind_key, last_updated, status, name, extra FROM gone'
            ' UNION ALL SELECT id, version + 1, start, "end", kind_key, $2, NULL, name, NULL FROM gone',
            key,
            now,
        )
        return Stored("Slot", current.id, current.version + 1, now, None)

    async def _insert(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str, version: int
    ) -> Stored:
        now = to_milliseconds(context.now)
        row, kind = take_apart(resource, id_, self._base_url)
        schedule_key, kind_key = await self._keys(connection, context, kind)
        # `id` alone is not unique across partitions, so rivals with one id wait for each other here.
        inserted = await connection.fetchval(
            "WITH rivals AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0)))"
            ' INSERT INTO slot (id, name, start, "end", status, extra, terms, words, schedule_key, kind_key,'
            " last_updated, version) SELECT $1, $2, $3, $4, $5, $6, $7, $8::text::tsvector, $9, $10, $11, $12 FROM rivals"
            " WHERE NOT EXISTS (SELECT FROM slot WHERE id = $1) ON CONFLICT DO NOTHING RETURNING true",
            *row_values(row),
            schedule_key,
            kind_key,
            now,
            version,
        )
        if inserted is None:
            raise Conflict(
                f"L'identifiant {id_} vient d'être créé par une autre requête.",
                f"The id {id_} was created by another request just now.",
                expression="Slot.id",
            )
        return _as_served(resource, id_, version, now)

    async def _refuse_if_claimed(
        self, connection: Connection, id_: str, key: UUID, resource: Resource | None
    ) -> None:
        """What is booked or held is never freed, moved or removed behind the appointment's back."""
        taken = await connection.fetchrow(
            'SELECT slot.start, slot."end", appointment.id AS appointment, schedule.id AS schedule FROM slot'
            " JOIN schedule ON schedule.key = slot.schedule_key"
            " JOIN appointment ON appointment.terms && ARRAY['slot=Slot/' || $2::text]"
            " AND appointment.terms && ARRAY['status=booked', 'status=pending', 'status=arrived', 'status=checked-in']"
            " WHERE slot.id = $1 LIMIT 1",
            key,
            id_,
        )
        if taken is None or (resource is not None and self._leaves_as_it_is(resource, taken)):
            return
        appointment = f"Appointment/{taken['appointment']}"
        raise Conflict(
            f"Le créneau Slot/{id_} est pris par {appointment} : annulez ou déplacez d'abord ce rendez-vous.",
            f"The slot Slot/{id_} is taken by {appointment}: cancel or move that appointment first.",
            expression="Slot.status",
            details_code="slot-claimed",
        )

    def _leaves_as_it_is(self, resource: Resource, taken: Record) -> bool:
        """Whether a new version keeps a taken slot taken, at its time and in its agenda."""
        times = (datetime.fromisoformat(resource["start"]), datetime.fromisoformat(resource["end"]))
        return (
            resource["status"] in ("busy", "busy-tentative")
            and times == (taken["start"], taken["end"])
            and schedule_id(resource, self._base_url) == taken["schedule"]
        )

    async def _keys(self, connection: Connection, context: WriteContext, kind: SlotKind) -> tuple[int, int]:
        """The keys of the schedule and of the kind, made if it is new; Unprocessable without the schedule, Forbidden when
        it is another practice's."""
        row = await connection.fetchrow(
            "SELECT schedule.key AS schedule, schedule.terms, kind.key AS kind FROM schedule"
            " LEFT JOIN slot_kind kind ON kind.schedule_key = schedule.key AND kind.digest = $2"
            " WHERE schedule.id = $1 AND NOT schedule.deleted",
            kind.schedule_id,
            kind.digest,
        )
        if row is None:
            raise Unprocessable(
                f"L'agenda Schedule/{kind.schedule_id} n'existe pas ; créez-le avant ses créneaux.",
                f"The agenda Schedule/{kind.schedule_id} does not exist; create it before its slots.",
                expression="Slot.schedule",
                code="not-found",
                details_code="unknown-schedule",
            )
        require_owned(context, "Slot", row["terms"])
        if row["kind"] is not None:
            return row["schedule"], row["kind"]
        kind_key = await connection.fetchval(
            "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms, words)"
            " VALUES ($1, $2, $3, $4, $5, $6::text::tsvector)"
            " ON CONFLICT (schedule_key, digest) DO UPDATE SET digest = excluded.digest RETURNING key",
            row["schedule"],
            kind.digest,
            kind.members,
            kind.meta,
            list(kind.terms),
            kind.words,
        )
        return row["schedule"], kind_key


def _stored(row: Any) -> Stored | None:
    return Stored("Slot", *row) if row is not None else None


def _as_served(resource: Resource, id_: str, version: int, now: datetime) -> Stored:
    """The version just written, as reading it back gives it: instants in UTC."""
    served = stamp(resource, id_, version, now)
    for name in ("start", "end"):
        moment = datetime.fromisoformat(served[name])
        served[name] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Stored("Slot", id_, version, now, dumps(served))
