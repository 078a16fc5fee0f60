"""The generic store: one resource type in the tables of `storage.tables`, one statement a write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncpg import Record

from creneau_shared.database.closing import LastWrite
from creneau_shared.database.conditions import any_of
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Forbidden
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.search.index import IndexEntries, index_resource
from creneau_shared.fhir.search.layout import NARROW, table_name
from creneau_shared.fhir.search.registry import storage_needs
from creneau_shared.fhir.search.sql import Arguments
from creneau_shared.fhir.storage.history_sql import VersionRows, history_statement, total_statement
from creneau_shared.fhir.storage.store import ChangeKind, HistoryQuery, Resource, Stored, WriteContext
from creneau_shared.ids import new_id
from creneau_shared.security.rights import AGENDA, OWNER, REGISTERED
from creneau_shared.type_table import COMPARTMENT

Changed = Callable[[Connection, WriteContext, ChangeKind, Stored, Resource | None], Awaitable[None]]
"""Called inside the transaction after each write, with the resource as stored (None for a deletion)."""

Belonging = Callable[[Connection, WriteContext, Resource, Stored | None], Awaitable[Sequence[str] | None]]
"""Called before each write with the resource (its id included) and its current version. Returns the internal terms that
say whose it will be; None: its owner does not change."""


def instant(moment: datetime) -> str:
    """FHIR instant in UTC with milliseconds."""
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"  # three times as quick as strftime


def stamp(resource: Resource, id_: str, version: int, now: datetime) -> Resource:
    """The resource with the id, version and time that the server gives; type, id and meta stand first."""
    meta = {
        **{k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")},
        "versionId": str(version),
        "lastUpdated": instant(now),
    }
    rest = {k: v for k, v in resource.items() if k not in ("resourceType", "id", "meta")}
    return {"resourceType": resource["resourceType"], "id": id_, "meta": meta, **rest}


NOTHING = IndexEntries([], [], [], [], None)
"""The entries of a deleted resource: nothing finds it."""


async def nothing_more(*_: object) -> None:
    """A hook that does nothing: changes of the type concern nobody else."""


async def as_it_is(*_: object) -> None:
    """The hook of a type whose resources belong to no organisation, or keep the one that they have."""


def owned_by(organizations: Iterable[str]) -> list[str]:
    """The internal terms of a resource that belongs to these Organizations (ids)."""
    return [f"{OWNER}{id_}" for id_ in sorted(set(organizations))]


def require_owned(context: WriteContext, resource_type: str, belonging: Collection[str]) -> None:
    """Forbidden when a caller of practices writes a resource that would belong to none of those for which they speak."""
    if context.organizations is None or not set(belonging).isdisjoint(owned_by(context.organizations)):
        return
    if not context.own_organizations and not any(term.startswith(OWNER) for term in belonging):
        raise Forbidden(
            f"Vous exercez dans plusieurs cabinets, et rien ne dit pour lequel vous écrivez ({resource_type}) : nommez-le"
            " dans la ressource (pour un patient : managingOrganization), ou utilisez un jeton qui le nomme.",
            f"You work for several practices, and nothing says for which of them you write ({resource_type}): name it in"
            " the resource (of a patient: managingOrganization), or use a token that names it.",
            expression=resource_type,
            details_code="no-practice",
        )
    raise Forbidden(
        f"Ce que vous écrivez n'appartient à aucun des cabinets pour lesquels vous agissez ({resource_type}).",
        f"What you write belongs to none of the practices for which you act ({resource_type}).",
        expression=resource_type,
        details_code="not-yours",
    )


class GenericStore:
    """A `ResourceStore` over the tables that `resource_tables` declares for the type."""

    def __init__(
        self,
        resource_type: str,
        base_url: str,
        changed: Changed = nothing_more,
        belonging: Belonging = as_it_is,
        listed: Callable[[str, str], str] | None = None,
        indexed: Callable[[Resource], Resource] | None = None,
    ) -> None:
        """`listed` makes the condition that a version is shown in the type's history, from the alias of its row and the
        column of its terms. `indexed` returns the part of a resource that is indexed; None: all of it."""
        self.resource_type = resource_type
        self._base_url = base_url
        self._changed = changed
        self._indexed = indexed
        self._belonging = belonging
        self._table = table_name(resource_type)
        self._needs = storage_needs(resource_type)
        self._narrow = resource_type in NARROW
        self._further = further_columns(resource_type)
        self._current, self._past = _versions(resource_type, listed)
        self._insert_ctes = self._insert("")
        self._insert_sql = f"WITH {self._insert('ON CONFLICT (id) DO NOTHING')} SELECT key FROM resource"
        self._update_ctes = self._update(keep_superseded=True, terms="$5")
        self._update_keeping_ctes = self._update(keep_superseded=True, terms=f"$5 || {_KEPT}")
        self._delete_ctes = self._update(keep_superseded=True, terms=compartment(resource_type, "terms"))
        self._overwrite_ctes = self._update(keep_superseded=False, terms="$5")

    # -- reading ---------------------------------------------------------------------------------------------

    async def read(self, connection: Connection, id_: str) -> Stored | None:
        row = await connection.fetchrow(
            f"SELECT id, version, last_updated, content, terms FROM {self._table} WHERE id = $1", id_
        )
        return self._stored(row)

    async def read_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        """The current version of each id that was ever used."""
        rows = await connection.fetch(
            f"SELECT id, version, last_updated, content FROM {self._table} WHERE id = ANY($1::text[])", ids
        )
        return {row[0]: Stored(self.resource_type, *row) for row in rows}

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        row = await connection.fetchrow(
            f"SELECT id, version, last_updated, content, terms FROM {self._table} WHERE id = $1 FOR UPDATE",
            id_,
        )
        return self._stored(row)

    async def read_version(
        self, connection: Connection, id_: str, version: int, required: Sequence[str] | None = None
    ) -> Stored | None:
        everything = required is None or f"_id={id_}" in required
        row = await connection.fetchrow(
            f"SELECT id, version, last_updated, content FROM {self._table}"
            " WHERE id = $1 AND version = $2 AND ($4 OR terms && $5)"
            " UNION ALL SELECT id, version, last_updated, content FROM resource_history"
            " WHERE resource_type = $3 AND id = $1 AND version = $2 AND ($4 OR compartment && $5)",
            id_,
            version,
            self.resource_type,
            everything,
            list(required or ()),
        )
        return self._stored(row)

    async def has_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        if f"_id={id_}" in terms:
            return True
        sql = f"SELECT EXISTS (SELECT FROM {self._table} WHERE id = $1 AND terms && $2)"
        return bool(await connection.fetchval(sql, id_, list(terms)))

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        if await self.has_any_term(connection, id_, terms):
            return True
        sql = (
            "SELECT EXISTS (SELECT FROM resource_history"
            " WHERE resource_type = $1 AND id = $2 AND compartment && $3)"
        )
        return bool(await connection.fetchval(sql, self.resource_type, id_, list(terms)))

    async def history(self, connection: Connection, query: HistoryQuery) -> Sequence[Stored]:
        statement = history_statement(query, query.id, "text", self._current, self._past)
        rows = await connection.fetch(statement.sql, *statement.values)
        return [Stored(self.resource_type, *row) for row in rows]

    async def history_total(self, connection: Connection, query: HistoryQuery, most: int | None) -> int:
        statement = total_statement(query, query.id, "text", self._current, self._past, most)
        return int(await connection.fetchval(statement.sql, *statement.values))

    # -- writing ---------------------------------------------------------------------------------------------

    async def as_known(self, connection: Connection, context: WriteContext, resource: Resource) -> Resource:
        """Returns what is kept of a resource that is created or replaced: what was sent, unless a type adds what this base
        knows of it."""
        return resource

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        belonging: Sequence[str] | None = None,
    ) -> Stored:
        """`belonging`: the internal terms, if the caller knows them already."""
        named = {**resource, "id": id_ or new_id()}
        return await self._create(connection, context, named, belonging, rivals=id_ is not None)

    async def create_named(
        self, connection: Connection, context: WriteContext, resource: Resource, belonging: Sequence[str]
    ) -> Stored:
        """Stores a resource under the id that it already has, which this service made: nobody else can be using it."""
        return await self._create(connection, context, resource, belonging, rivals=False)

    async def _create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        belonging: Sequence[str] | None,
        *,
        rivals: bool,
    ) -> Stored:
        now = context.now
        resource = await self.as_known(connection, context, resource)
        stored_resource = stamp(resource, resource["id"], 1, now)
        stored = Stored(self.resource_type, stored_resource["id"], 1, now, dumps(stored_resource))
        if belonging is None:
            belonging = await self._belonging(connection, context, stored_resource, None) or ()
        require_owned(context, self.resource_type, belonging)
        entries = self._entries(stored_resource)
        entries.terms.extend(belonging)
        if not await self._insert_version(connection, stored, entries, rivals=rivals):
            raise Conflict(
                f"L'identifiant {stored.id} vient d'être créé par une autre requête.",
                f"The id {stored.id} was created by another request just now.",
                expression=f"{self.resource_type}.id",
            )
        await self._changed(connection, context, "create", stored, stored_resource)
        return stored

    async def replace(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        belonging: Sequence[str] | None = None,
        keeping: bool = False,
    ) -> Stored:
        """`belonging`: the internal terms, if the caller knows them already; with `keeping`, they are added to those that
        say whose it is now."""
        now = max(context.now, current.last_updated)
        resource = await self.as_known(connection, context, resource)
        stored_resource = stamp(resource, current.id, current.version + 1, now)
        stored = Stored(self.resource_type, current.id, current.version + 1, now, dumps(stored_resource))
        if belonging is None:
            belonging = await self._belonging(connection, context, stored_resource, current)
            keeping = belonging is None
        if not keeping:
            require_owned(context, self.resource_type, belonging or ())
        entries = self._entries(stored_resource)
        entries.terms.extend(belonging or ())
        sql = self._update_keeping_ctes if keeping else self._update_ctes
        await self._write_version(connection, sql, current, stored, entries)
        kind: ChangeKind = "create" if current.deleted else "update"
        await self._changed(connection, context, kind, stored, stored_resource)
        return stored

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        now = max(context.now, current.last_updated)
        stored = Stored(self.resource_type, current.id, current.version + 1, now, None)
        await self._write_version(connection, self._delete_ctes, current, stored, NOTHING)
        await self._changed(connection, context, "delete", stored, None)
        return stored

    async def put(
        self,
        connection: Connection,
        context: WriteContext,
        id_: str,
        resource: Resource,
        *,
        belonging: Sequence[str] | None = None,
    ) -> Stored:
        """Store `resource` as the current version of `id_`, whether or not there was one."""
        current = await self.lock(connection, id_)
        if current is None:
            return await self.create(connection, context, resource, id_, belonging=belonging)
        return await self.replace(connection, context, current, resource, belonging=belonging)

    # -- removing for good -----------------------------------------------------------------------------------

    async def erase(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Delete `current`, which the caller has locked, and every version before it.

        Nothing is kept but that the id has been used. The caller decides who is told.
        """
        now = max(context.now, current.last_updated)
        stored = Stored(self.resource_type, current.id, current.version + 1, now, None)
        await self._overwrite(connection, stored, NOTHING)
        await connection.execute(
            "DELETE FROM resource_history WHERE resource_type = $1 AND id = $2",
            self.resource_type,
            current.id,
        )
        return stored

    async def amend(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        change: Callable[[Resource], Resource],
        forgotten: Collection[str],
    ) -> Stored:
        """Applies `change` to `current`, which the caller has locked, and to every version before it; none of them is
        about the people `forgotten` (references) any more.

        What `change` takes away is left nowhere. If it changes the current version, a new version follows, so that
        clients see the change. Doing it twice changes nothing.
        """
        stored = await self._amend_current(connection, context, current, change, forgotten)
        rows = await connection.fetch(
            "SELECT version, content FROM resource_history"
            " WHERE resource_type = $1 AND id = $2 AND content IS NOT NULL",
            self.resource_type,
            current.id,
        )
        changed = [(row["version"], change(loads(row["content"]))) for row in rows]
        await connection.execute(
            "UPDATE resource_history SET content = amended.content,"
            " compartment = ARRAY(SELECT t FROM unnest(compartment) AS t WHERE split_part(t, '=', 2) <> ALL ($5))"
            " FROM unnest($3::integer[], $4::bytea[]) AS amended (version, content)"
            " WHERE resource_type = $1 AND id = $2 AND resource_history.version = amended.version",
            self.resource_type,
            current.id,
            [version for version, _ in changed],
            [dumps(resource) for _, resource in changed],
            list(forgotten),
        )
        return stored

    async def _amend_current(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        change: Callable[[Resource], Resource],
        forgotten: Collection[str],
    ) -> Stored:
        if current.content is None:
            # A deleted resource keeps the terms that say about whom it was.
            await connection.execute(
                f"UPDATE {self._table} SET terms ="
                " ARRAY(SELECT t FROM unnest(terms) AS t WHERE split_part(t, '=', 2) <> ALL ($2)) WHERE id = $1",
                current.id,
                list(forgotten),
            )
            return current
        before = loads(current.content)
        after = change(before)
        if after == before:
            return current
        now = max(context.now, current.last_updated)
        resource = stamp(after, current.id, current.version + 1, now)
        stored = Stored(self.resource_type, current.id, current.version + 1, now, dumps(resource))
        entries = index_resource(self.resource_type, resource, base_url=self._base_url)
        terms = await connection.fetchval(f"SELECT terms FROM {self._table} WHERE id = $1", current.id)
        entries.terms.extend(t for t in terms if t.startswith("~") and t.partition("=")[2] not in forgotten)
        await self._write_version(connection, self._update_ctes, current, stored, entries)
        return stored

    async def _insert_version(
        self, connection: Connection, stored: Stored, entries: IndexEntries, *, rivals: bool
    ) -> bool:
        """Inserts the first version; returns whether the id was free. `rivals`: somebody else may be using it."""
        arguments = [*self._version_arguments(stored, entries), *self._side_arguments(entries)]
        if not rivals:
            await LastWrite("resource", self._insert_ctes, arguments).run(connection)
            return True
        return await connection.fetchval(self._insert_sql, *arguments) is not None

    async def _overwrite(self, connection: Connection, stored: Stored, entries: IndexEntries) -> None:
        """Puts a version in the place of the current one, which is kept nowhere: for replicas and erasing."""
        arguments = [*self._version_arguments(stored, entries), *self._side_arguments(entries)]
        await LastWrite("resource", self._overwrite_ctes, arguments).run(connection)

    async def _write_version(
        self, connection: Connection, ctes: str, current: Stored, stored: Stored, entries: IndexEntries
    ) -> None:
        """Writes the version after `current`, which is locked."""
        arguments = [*self._version_arguments(stored, entries), *self._side_arguments(entries)]
        arguments += [self.resource_type, current.version, current.last_updated, current.content]
        await LastWrite("resource", ctes, arguments).run(connection)

    # -- statements ------------------------------------------------------------------------------------------

    def _stored(self, row: Record | None) -> Stored | None:
        return Stored(self.resource_type, *row) if row is not None else None

    def _entries(self, resource: Resource) -> IndexEntries:
        found_by = resource if self._indexed is None else self._indexed(resource)
        return index_resource(self.resource_type, found_by, base_url=self._base_url)

    def _version_arguments(self, stored: Stored, entries: IndexEntries) -> list[Any]:
        """The arguments of the main table's row."""
        version = (stored.id, stored.version, stored.last_updated, stored.content)
        traits = [entries.traits] if self._narrow else []
        occurrences = [dumps(entries.occurrences).decode()] if self._needs.occurrences else []
        return [*version, entries.terms, entries.words, *traits, *occurrences]

    def _side_arguments(self, entries: IndexEntries) -> list[Any]:
        """The arguments of the side tables' inserts, one array per column, then the position."""
        arguments: list[Any] = []
        if self._needs.strings:
            arguments += _columns(entries.strings, 3)
        if self._needs.dates:
            arguments += _columns(entries.dates, 3)
        if self._needs.numbers:
            arguments += _columns(entries.numbers, 2)
        if self._needs.position:
            arguments += entries.position or (None, None)
        return arguments

    def _side_tables(self) -> tuple[tuple[str, bool], ...]:
        needs = self._needs
        return (("string", needs.strings), ("date", needs.dates), ("number", needs.numbers))

    def _side_inserts(self, source: str, first: int) -> tuple[list[str], int]:
        """CTEs that fill the side tables for the row of `source`; the number of the next free argument."""
        ctes, n = [], first
        for kind, wanted, columns, casts in (
            ("string", self._needs.strings, "value, exact", ("text", "text", "text")),
            ("date", self._needs.dates, "low, high", ("text", "timestamptz", "timestamptz")),
            ("number", self._needs.numbers, "value", ("text", "numeric")),
        ):
            if wanted:
                arrays = ", ".join(f"${n + i}::{cast}[]" for i, cast in enumerate(casts))
                ctes.append(
                    f"{kind}s AS (INSERT INTO {self._table}_{kind} (key, parameter, {columns})"
                    f" SELECT {source}.key, entry.* FROM {source}, unnest({arrays}) AS entry)"
                )
                n += len(casts)
        return ctes, n

    def _position_columns(self, first: int) -> tuple[str, str, str]:
        """Column list, value list and assignments of the position, each with its leading comma, or nothing."""
        if not self._needs.position:
            return "", "", ""
        latitude, longitude = f"${first}", f"${first + 1}"
        return (
            ", latitude, longitude",
            f", {latitude}::float8, {longitude}::float8",
            f", latitude = {latitude}, longitude = {longitude}",
        )

    def _insert(self, rivals: str) -> str:
        """Common table expressions; `rivals`: what becomes of the row when its id is in use."""
        ctes, after = self._side_inserts("resource", 7 + len(self._further))
        columns, values, _ = self._position_columns(after)
        for number, (name, cast) in reversed(list(enumerate(self._further, 7))):
            columns, values = f", {name}{columns}", f", ${number}{cast}{values}"
        resource = (
            f"resource AS (INSERT INTO {self._table} (id, version, last_updated, content, terms, words{columns})"
            f" VALUES ($1, $2, $3, $4, $5, $6::text::tsvector{values}) {rivals} RETURNING key)"
        )
        return ", ".join([resource, *ctes])

    def _update(self, *, keep_superseded: bool, terms: str) -> str:
        """Common table expressions. `terms`: SQL of the row's next terms, over those that it has; $5 are the new ones."""
        ctes, after = self._side_inserts("resource", 7 + len(self._further))
        _, _, assignments = self._position_columns(after)
        if assignments:
            after += 2
        for number, (name, cast) in enumerate(self._further, 7):
            assignments = f", {name} = ${number}{cast}{assignments}"
        resource = (
            f"resource AS (UPDATE {self._table} SET version = $2, last_updated = $3, content = $4::bytea,"
            f" deleted = $4::bytea IS NULL, terms = {terms}, words = $6::text::tsvector{assignments} WHERE id = $1"
            " RETURNING key, old.terms AS old_terms, $5::text[])"
        )
        removals = [
            f"old_{kind}s AS (DELETE FROM {self._table}_{kind} side USING {self._table} main"
            " WHERE main.id = $1 AND side.key = main.key)"
            for kind, wanted in self._side_tables()
            if wanted
        ]
        parts = [resource, *removals, *ctes]
        if keep_superseded:
            parts.append(
                "superseded AS (INSERT INTO resource_history"
                " (resource_type, id, version, last_updated, content, compartment, superseded_at)"
                f" SELECT ${after}, $1, ${after + 1}, ${after + 2}, ${after + 3}::bytea,"
                f" {compartment(self.resource_type, 'old_terms')}, $3 FROM resource)"
            )
        return ", ".join(parts)


async def superseded_since(
    connection: Connection, resource_type: str, id_: str, since: datetime
) -> list[datetime]:
    """When versions of a resource were superseded after `since`."""
    rows = await connection.fetch(
        "SELECT superseded_at FROM resource_history WHERE resource_type = $1 AND id = $2 AND superseded_at > $3",
        resource_type,
        id_,
        since,
    )
    return [row["superseded_at"] for row in rows]


def further_columns(resource_type: str) -> tuple[tuple[str, str], ...]:
    """The columns after the words that only some types have, in their order, each with the cast of its values."""
    traits = (("traits", ""),) if resource_type in NARROW else ()
    occurrences = (("occurrences", "::text::jsonb"),) if storage_needs(resource_type).occurrences else ()
    return (*traits, *occurrences)


def _versions(
    resource_type: str, listed: Callable[[str, str], str] | None
) -> tuple[VersionRows, VersionRows]:
    """The rows of the current and of the superseded versions of a type."""

    def rows(table: str, alias: str, terms: str, only: str, ended: str | None) -> VersionRows:
        columns = ", ".join(f"{alias}.{name}" for name in ("id", "version", "last_updated", "content"))

        def bears(required: Sequence[str], arguments: Arguments) -> str:
            ids = [term.removeprefix("_id=") for term in required if term.startswith("_id=")]
            of_id = f"{alias}.id = ANY({arguments.add(ids, 'text[]')})"
            return any_of((of_id, f"{alias}.{terms} && {arguments.add(list(required), 'text[]')}"))

        return VersionRows(
            select=f"SELECT {columns} FROM {table} AS {alias}",
            source=table,
            alias=alias,
            served_id=f"{alias}.id",
            deletion=f"{alias}.content IS NULL",
            bears=bears,
            only=only if listed is None else f"{only} AND {listed(alias, terms)}",
            ended=ended,
        )

    of_type = f"past.resource_type = '{resource_type}'"
    return (
        rows(table_name(resource_type), "present", "terms", "true", None),
        rows("resource_history", "past", "compartment", of_type, "superseded_at"),
    )


_KEPT = (
    "ARRAY(SELECT DISTINCT t FROM unnest(terms) AS t"
    f" WHERE (starts_with(t, '{OWNER}') OR starts_with(t, '{AGENDA}') OR starts_with(t, '{REGISTERED}')) AND t <> ALL ($5))"
)
"""SQL: the row's terms that say whose it is, of which agenda, and who registered it, without the new ones ($5)"""


def compartment(resource_type: str, terms: str) -> str:
    """SQL: those of the `terms` that say whose a resource is and about whom."""
    people = COMPARTMENT.get(resource_type, ())
    starts = ["~", *(f"{name}=" for name in people if name != "_id")]
    wanted = any_of(f"starts_with(t, '{start}')" for start in starts)
    return f"ARRAY(SELECT t FROM unnest({terms}) AS t WHERE {wanted})"


def _columns(entries: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[entry[i] for entry in entries] for i in range(width)]
