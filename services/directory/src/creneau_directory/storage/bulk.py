"""Writes many new resources at once, by COPY: the rows of the type's own table and of its side tables.

The bytes, terms and words are the same as in a single write; only the way into the tables differs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from operator import itemgetter

from creneau_directory.domain.ror.visibility import MARKS
from creneau_directory.storage import care
from creneau_directory.storage.ownership import entry_belonging
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import IndexEntries, index_resource
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import storage_needs
from creneau_shared.fhir.storage.generic import stamp
from creneau_shared.fhir.storage.many import ManyStore, Version
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

_SIDE_COLUMNS = {"string": ("value", "exact"), "date": ("low", "high"), "number": ("value",)}


class BulkStore(ManyStore):
    """A store of one type of the directory that writes batches of resources under ids that the caller has chosen."""

    async def write(
        self, connection: Connection, context: WriteContext, resources: Sequence[Resource]
    ) -> tuple[list[Stored], int]:
        """Stores each as the current version of its id; returns the stored versions, and how many are new."""
        ids = [resource["id"] for resource in resources]
        versions = [
            Version(resource, await entry_belonging(connection, context, resource, None) or ())
            for resource in resources
        ]
        current = await self.lock_many(connection, ids)
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
        table = table_name(self.resource_type)
        rows = await connection.fetch(
            "SELECT nextval(sequence.name) AS key"
            " FROM CAST(pg_get_serial_sequence($1, 'key') AS regclass) AS sequence (name), generate_series(1, $2)",
            table,
            len(versions),
        )
        keys = [row["key"] for row in rows]
        needs = storage_needs(self.resource_type)
        columns = ["id", "key", "version", "last_updated", "content", "terms", "words"]
        columns += ["occurrences"] if needs.occurrences else []
        columns += ["latitude", "longitude"] if needs.position else []
        stored: list[Stored] = []
        sides: dict[str, list[tuple[object, ...]]] = {"string": [], "date": [], "number": []}

        def lines() -> Iterator[str]:
            """Yields lines while they are sent, so that the server writes earlier ones at the same time."""
            for version, key in zip(versions, keys, strict=True):
                one, entries = self._new(version, context.now)
                stored.append(one)
                for kind, records in sides.items():
                    records += [(key, *entry) for entry in getattr(entries, f"{kind}s")]
                yield _line(one, key, entries, occurrences=needs.occurrences, position=needs.position)

        await connection.copy_to_table(table, source=_chunks(lines()), columns=columns, format="csv")
        for kind, wanted in (("string", needs.strings), ("date", needs.dates), ("number", needs.numbers)):
            if wanted:
                await self.copy_side(connection, kind, sides[kind])
        return stored

    def _new(self, version: Version, now: datetime) -> tuple[Stored, IndexEntries]:
        """The first version of a resource, and its search entries."""
        resource = version.resource
        stamped = stamp(resource, resource["id"], 1, now)
        content = dumps(stamped)
        if any(mark in content for mark in MARKS):
            entries = self._entries(stamped)
        else:  # everybody may see all of it
            entries = index_resource(self.resource_type, stamped, base_url=self._base_url)
        entries.terms.extend(version.belonging)
        return Stored(self.resource_type, resource["id"], 1, now, content), entries

    async def copy_side(
        self, connection: Connection, kind: str, records: Sequence[tuple[object, ...]]
    ) -> None:
        """Copies rows, each with its key, into a side table (`string`, `date` or `number`)."""
        if records:
            columns = ["key", "parameter", *_SIDE_COLUMNS[kind]]
            table = f"{table_name(self.resource_type)}_{kind}"
            # In the order of the index, so that neighbours touch the same pages.
            ordered = sorted(records, key=itemgetter(1, 2))
            await connection.copy_records_to_table(table, records=ordered, columns=columns)

    def entries_of(self, resource: Resource) -> IndexEntries:
        """The search entries of a resource."""
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


async def _chunks(lines: Iterator[str]) -> AsyncIterator[bytes]:
    """Yields the lines as bytes, up to 200 at a time."""
    part: list[str] = []
    for line in lines:
        part.append(line)
        if len(part) == 200:
            yield ("\n".join(part) + "\n").encode()
            part = []
    if part:
        yield ("\n".join(part) + "\n").encode()
