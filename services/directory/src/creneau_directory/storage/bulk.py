"""Many new resources at once, by COPY: the rows of the type's own table and of its side tables.

The bytes, terms and words are those that a single write makes; only the way into the tables is another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from creneau_directory.storage import care
from creneau_directory.storage.ownership import entry_belonging
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import IndexEntries
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import storage_needs
from creneau_shared.fhir.storage.generic import stamp, to_milliseconds
from creneau_shared.fhir.storage.many import ManyStore, Version
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

_SIDE_COLUMNS = {"string": ("value", "exact"), "date": ("low", "high"), "number": ("value",)}


class BulkStore(ManyStore):
    """A store of one type of the directory that writes batches of resources under ids that the caller has chosen."""

    async def write(
        self, connection: Connection, context: WriteContext, resources: Sequence[Resource]
    ) -> tuple[list[Stored], int]:
        """Store each as the current version of its id. What was stored, and how many of it are new."""
        ids = [resource["id"] for resource in resources]
        versions = [
            Version(resource, await entry_belonging(connection, context, resource, None) or ())
            for resource in resources
        ]
        current = await self._lock_many(connection, ids)
        new = [version for version in versions if version.resource["id"] not in current]
        stored = await self._copy(connection, context, new)
        await self.put_many(connection, context, [v for v in versions if v.resource["id"] in current])
        again = await self.read_many(connection, [id_ for id_ in ids if id_ in current]) if current else {}
        await care.put_off(connection, self.resource_type, ids)
        return [*stored, *again.values()], len(new)

    async def _copy(
        self, connection: Connection, context: WriteContext, versions: Sequence[Version]
    ) -> list[Stored]:
        if not versions:
            return []
        now = to_milliseconds(context.now)
        table = table_name(self.resource_type)
        rows = await connection.fetch(
            "SELECT nextval(pg_get_serial_sequence($1, 'key')) AS key FROM generate_series(1, $2)",
            table,
            len(versions),
        )
        keys = [row["key"] for row in rows]
        stamped = [stamp(version.resource, version.resource["id"], 1, now) for version in versions]
        stored = [Stored(self.resource_type, one["id"], 1, now, dumps(one)) for one in stamped]
        entries = [self._entries(one) for one in stamped]
        for of_one, version in zip(entries, versions, strict=True):
            of_one.terms.extend(version.belonging)
        needs = storage_needs(self.resource_type)
        columns = ["id", "key", "version", "last_updated", "content", "terms", "words"]
        columns += ["occurrences"] if needs.occurrences else []
        columns += ["latitude", "longitude"] if needs.position else []
        lines = (
            _line(one, key, of_one, occurrences=needs.occurrences, position=needs.position)
            for one, key, of_one in zip(stored, keys, entries, strict=True)
        )
        await connection.copy_to_table(table, source=_chunks(lines), columns=columns, format="csv")
        for kind, wanted in (("string", needs.strings), ("date", needs.dates), ("number", needs.numbers)):
            if wanted:
                records = [
                    (key, *entry)
                    for key, of_one in zip(keys, entries, strict=True)
                    for entry in getattr(of_one, f"{kind}s")
                ]
                await self.copy_side(connection, kind, records)
        return stored

    async def copy_side(
        self, connection: Connection, kind: str, records: Sequence[tuple[object, ...]]
    ) -> None:
        """Rows of a side table (`string`, `date` or `number`), each with its key."""
        if records:
            columns = ["key", "parameter", *_SIDE_COLUMNS[kind]]
            table = f"{table_name(self.resource_type)}_{kind}"
            await connection.copy_records_to_table(table, records=records, columns=columns)

    def entries_of(self, resource: Resource) -> IndexEntries:
        """What a resource is found by."""
        return self._entries(resource)


def _line(stored: Stored, key: int, entries: IndexEntries, *, occurrences: bool, position: bool) -> str:
    """One line of CSV in the order of the columns."""
    terms = ",".join('"' + term.replace("\\", "\\\\").replace('"', '\\"') + '"' for term in entries.terms)
    assert stored.content is not None
    fields = [
        stored.id,
        str(key),
        "1",
        stored.last_updated.isoformat(),
        "\\x" + stored.content.hex(),
        "{" + terms + "}",
        entries.words,
    ]
    if occurrences:
        fields.append(dumps(entries.occurrences).decode())
    line = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    if position:
        line += f",{entries.position.latitude},{entries.position.longitude}" if entries.position else ",,"
    return line


async def _chunks(lines: Iterator[str]):  # type: ignore[no-untyped-def]
    """The lines as bytes, some at a time."""
    part: list[str] = []
    for line in lines:
        part.append(line)
        if len(part) == 200:
            yield ("\n".join(part) + "\n").encode()
            part = []
    if part:
        yield ("\n".join(part) + "\n").encode()
