"""A person's whole record in one service, source by source, in pages (FHIR R4 patient-operation-everything)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from asyncpg import Record

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.audit import PATIENT
from creneau_shared.fhir.search.bundle import Entry
from creneau_shared.fhir.search.page_bytes import fitting, within
from creneau_shared.fhir.search.sql import SearchTable
from creneau_shared.fhir.storage.audit_events import as_seen_by
from creneau_shared.fhir.storage.store import Stored

_COLUMNS = "place, id, version, last_updated, content"


@dataclass(frozen=True, slots=True)
class Source:
    """Resources of one type that belong to the record.

    `select` gives (place, id, version, last_updated, content). `place` is a text that orders the rows and is different
    for each. The arguments are `$3`, `$4` …
    """

    resource_type: str
    select: str
    arguments: tuple[Any, ...] = ()
    shown: Callable[[bytes], bytes] | None = None
    """returns the resource as the person may see it; None: as it is stored"""


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A part of the record, and where it goes on: (number of the source, place); None at its end."""

    found: tuple[Stored, ...]
    following: tuple[int, str] | None


async def record_page(
    connection: Connection, sources: Sequence[Source], begin: tuple[int, str], count: int
) -> RecordPage:
    """At most `count` resources from `begin` on, and no more than make a page full (`page_bytes`); `(0, "")` is the
    beginning."""
    found: list[Stored] = []
    first, place = begin
    size = 0
    for number in range(first, len(sources)):
        source = sources[number]
        in_order = (
            f"SELECT * FROM ({source.select}) AS record ({_COLUMNS})"
            ' WHERE place COLLATE "C" > $1 ORDER BY place COLLATE "C" LIMIT $2'
        )
        room = count - len(found)
        rows = await connection.fetch(within(in_order, _COLUMNS), place, room + 1, *source.arguments)
        taken = rows[: fitting((row["content"] for row in rows[:room]), size)]
        size += sum(len(row["content"]) for row in taken)
        found += [_stored(source, row) for row in taken]
        if len(rows) > len(taken):
            return RecordPage(tuple(found), (number, taken[-1]["place"] if taken else place))
        place = ""
    return RecordPage(tuple(found), None)


def _stored(source: Source, row: Record) -> Stored:
    _, id_, version, last_updated, content = row
    shown = content if source.shown is None else source.shown(content)
    return Stored(source.resource_type, id_, version, last_updated, shown)


def trail_of(patient_id: str, table: SearchTable, since: datetime) -> Source:
    """The trail of who has seen or changed what is about the Patient, as far as it is about nobody else."""
    columns = table.columns("a")
    place = f"to_char(a.recorded AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') || {columns.id}"
    select = (
        f"SELECT {place}, {columns.id}, 1, {columns.last_updated}, {columns.content} FROM {table.source('a')}"
        f" WHERE a.terms @> ARRAY['{PATIENT}' || $3::text] AND a.recorded >= $4"
    )
    return Source("AuditEvent", select, (patient_id, since), partial(as_seen_by, (patient_id,)))


def entries_of(found: Sequence[Stored], base_url: str, *, searched: bool = True) -> list[Entry]:
    """The entries of a searchset, or of a collection; versions of one resource have one address."""
    search = {"mode": "match"} if searched else None
    return [Entry(f"{base_url}/{one.resource_type}/{one.id}", one.content, search) for one in found]


PLACE = "main.id || '|' || to_char(main.version, 'FM0000000000')"
"""the place of a version in the row `main`: those of a resource come one after the other"""


def versions_of(resource_type: str, table: str, condition: str, *, superseded: str | None) -> str:
    """The `select` of a generic type: current versions that meet `condition` and, unless None, the earlier ones that
    meet `superseded` (over the columns of `resource_history`)."""
    current = (
        f"SELECT {PLACE}, id, version, last_updated, content FROM {table} AS main"
        f" WHERE NOT deleted AND ({condition})"
    )
    if superseded is None:
        return current
    return (
        f"{current} UNION ALL SELECT {PLACE}, id, version, last_updated, content FROM resource_history AS main"
        f" WHERE resource_type = '{resource_type}' AND content IS NOT NULL AND ({superseded})"
    )
