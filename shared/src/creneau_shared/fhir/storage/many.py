"""A generic store that writes many resources of its type by one statement, for writes in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import IndexEntries
from creneau_shared.fhir.storage.generic import GenericStore, compartment, stamp
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

_BETWEEN = "\x1e"
"""separates the terms of one row in an argument: an array of arrays cannot be ragged, and no term has this character"""
_SPLIT = "string_to_array({array}, E'\\x1e')"


@dataclass(frozen=True, slots=True)
class Version:
    """A resource as it is to be stored, its id among its elements, and the internal terms that say whose it is."""

    resource: Resource
    belonging: Sequence[str]


class ManyStore(GenericStore):
    """A `GenericStore` for resources whose ids the service makes, and of whose changes nobody else is told."""

    def __init__(
        self, resource_type: str, base_url: str, indexed: Callable[[Resource], Resource] | None = None
    ) -> None:
        super().__init__(resource_type, base_url, indexed=indexed)
        further = (name for name, _ in self._further)
        position = ("latitude", "longitude") if self._needs.position else ()
        self._columns = ("id", "version", "last_updated", "content", "terms", "words", *further, *position)
        self._insert_many = self._insert_many_sql()
        self._update_many = self._update_many_sql()

    async def create_many(
        self, connection: Connection, context: WriteContext, versions: Sequence[Version]
    ) -> None:
        """Stores these resources, whose ids nobody has used."""
        now = context.now
        await self._write(connection, self._insert_many, [(version, 1, now) for version in versions])

    async def put_many(
        self, connection: Connection, context: WriteContext, versions: Sequence[Version]
    ) -> None:
        """Store each of these as the current version of its id, whether or not there was one."""
        current = await self.lock_many(connection, [version.resource["id"] for version in versions])
        now = context.now
        known = [
            (version, before.version + 1, max(now, before.last_updated))
            for version in versions
            if (before := current.get(version.resource["id"])) is not None
        ]
        new = [version for version in versions if version.resource["id"] not in current]
        await self._write(connection, self._update_many, known)
        await self.create_many(connection, context, new)

    async def lock_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        """The current version of each id that was ever used; it stays that until the transaction ends."""
        rows = await connection.fetch(
            f"SELECT id, version, last_updated, content FROM {self._table} WHERE id = ANY($1::text[])"
            " ORDER BY id FOR UPDATE",
            list(ids),
        )
        return {row["id"]: Stored(self.resource_type, *row) for row in rows}

    async def _write(
        self, connection: Connection, sql: str, versions: Sequence[tuple[Version, int, datetime]]
    ) -> None:
        if not versions:
            return
        stamped = [stamp(v.resource, v.resource["id"], number, now) for v, number, now in versions]
        indexed = [self._entries(one) for one in stamped]
        rows = [
            (
                one["id"],
                number,
                now,
                dumps(one),
                _BETWEEN.join([*entries.terms, *version.belonging]),
                entries.words,
                *((_BETWEEN.join(entries.traits),) if self._narrow else ()),
                *((dumps(entries.occurrences).decode(),) if self._needs.occurrences else ()),
                *((entries.position or (None, None)) if self._needs.position else ()),
            )
            for one, entries, (version, number, now) in zip(stamped, indexed, versions, strict=True)
        ]
        arguments = [list(column) for column in zip(*rows, strict=True)]
        await connection.execute(sql, *arguments, *self._side_rows([row[0] for row in rows], indexed))

    def _side_rows(self, ids: Sequence[str], indexed: Sequence[IndexEntries]) -> list[list[Any]]:
        """For each side table: the ids of the rows' owners, and the rows' columns."""
        arguments: list[list[Any]] = []
        for (kind, wanted), width in zip(self._side_tables(), (3, 3, 2), strict=True):
            if wanted:
                rows = [
                    (id_, *entry)
                    for id_, entries in zip(ids, indexed, strict=True)
                    for entry in getattr(entries, f"{kind}s")
                ]
                arguments += [[row[n] for row in rows] for n in range(width + 1)]
        return arguments

    # -- statements ------------------------------------------------------------------------------------------

    def _given(self) -> str:
        types = ("text", "integer", "timestamptz", "bytea", "text", "text", *("text" for _ in self._further))
        types += ("float8", "float8") if self._needs.position else ()
        arrays = ", ".join(f"${n + 1}::{types[n]}[]" for n in range(len(self._columns)))
        return f"given AS MATERIALIZED (SELECT * FROM unnest({arrays}) AS given ({', '.join(self._columns)}))"

    def _values(self) -> list[str]:
        made = {name: _SPLIT.format(array=f"given.{name}") for name in ("terms", "traits")}
        made["words"] = "given.words::tsvector"
        made["occurrences"] = "given.occurrences::jsonb"
        return [made.get(name, f"given.{name}") for name in self._columns]

    def _sides_of(self, source: str) -> list[str]:
        """Expressions that fill the side tables for the rows of `source`, which has (id, key)."""
        ctes, n = [], len(self._columns) + 1
        columns = (("value, exact", "text"), ("low, high", "timestamptz"), ("value", "numeric"))
        for (kind, wanted), (names, type_) in zip(self._side_tables(), columns, strict=True):
            if wanted:
                values = names.split(", ")
                arrays = [f"${n}::text[]", f"${n + 1}::text[]"]
                arrays += [f"${n + 2 + place}::{type_}[]" for place in range(len(values))]
                n += len(arrays)
                ctes.append(
                    f"{kind}s AS (INSERT INTO {self._table}_{kind} (key, parameter, {names})"
                    f" SELECT {source}.key, entry.parameter, {', '.join(f'entry.{value}' for value in values)}"
                    f" FROM unnest({', '.join(arrays)}) AS entry (id, parameter, {names}) JOIN {source} USING (id))"
                )
        return ctes

    def _insert_many_sql(self) -> str:
        resource = (
            f"resource AS (INSERT INTO {self._table} ({', '.join(self._columns)})"
            f" SELECT {', '.join(self._values())} FROM given RETURNING id, key)"
        )
        return f"WITH {', '.join([self._given(), resource, *self._sides_of('resource')])} SELECT"

    def _update_many_sql(self) -> str:
        pairs = zip(self._columns[1:], self._values()[1:], strict=True)
        assignments = ", ".join(f"{name} = {value}" for name, value in pairs)
        resource = (
            f"resource AS (UPDATE {self._table} AS main SET {assignments}, deleted = false FROM given"
            " WHERE main.id = given.id RETURNING main.id, main.key, old.version AS old_version,"
            " old.last_updated AS old_updated, old.content AS old_content, old.terms AS old_terms,"
            " new.last_updated AS superseded_at)"
        )
        removals = [
            f"old_{kind}s AS (DELETE FROM {self._table}_{kind} side USING {self._table} main"
            " WHERE main.id = ANY($1::text[]) AND side.key = main.key)"
            for kind, wanted in self._side_tables()
            if wanted
        ]
        superseded = (
            "superseded AS (INSERT INTO resource_history"
            " (resource_type, id, version, last_updated, content, compartment, superseded_at)"
            f" SELECT '{self.resource_type}', id, old_version, old_updated, old_content,"
            f" {compartment(self.resource_type, 'old_terms')}, superseded_at FROM resource)"
        )
        parts = [self._given(), resource, *removals, *self._sides_of("resource"), superseded]
        return f"WITH {', '.join(parts)} SELECT"
