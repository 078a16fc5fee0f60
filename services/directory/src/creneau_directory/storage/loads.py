"""The data of loading in the database: progress, fragments of a file, digests of what each source gave before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from creneau_shared.database.pool import Connection

PRECEDENCE = ("ror", "finess", "annuaire")
STOPPED, LEFT = b"", b"left to others"
"""In the place of a digest: the source has stopped giving the resource; it gives it, and what a higher source says holds."""
"""sources in order of precedence: the first one that gives an entry decides on it"""


@dataclass(slots=True)
class Load:
    """A run of loading: its source, progress and counts."""

    id: int
    source: str
    whole: bool
    phase: str
    lines: int
    after: tuple[str, str]
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, number: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + number


@dataclass(frozen=True, slots=True)
class Said:
    """The fragments of one resource in a file, in the order of their lines; `line`: the first. `gone`: the last one says
    that the resource is gone. `incomplete`: all only complete a resource that no line gives."""

    resource_type: str
    id: str
    contents: tuple[bytes, ...]
    gone: bool
    incomplete: bool
    line: int


async def lock_source(connection: Connection, source: str) -> bool:
    """Tries to lock the source for this session, until it unlocks it or ends; returns whether it has the lock."""
    sql = "SELECT pg_try_advisory_lock(hashtextextended('load ' || $1, 0))"
    return bool(await connection.fetchval(sql, source))


async def unlock_source(connection: Connection, source: str) -> None:
    """Releases the lock of the source."""
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended('load ' || $1, 0))", source)


async def take_turn(connection: Connection) -> None:
    """Locks the writes of all loads until the transaction ends: sources give the same entries, and which one decides on an
    entry is known only after the other has committed."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('load writes', 0))")


async def begun(connection: Connection, source: str, file: str, fingerprint: str, *, whole: bool) -> Load:
    """Returns the unfinished load of the same file; otherwise drops the source's unfinished loads and begins a new one."""
    row = await connection.fetchrow(
        "SELECT id, phase, lines, after_type, after_id, counts FROM load WHERE source = $1 AND fingerprint = $2"
        " AND whole = $3 AND finished_at IS NULL ORDER BY id DESC LIMIT 1",
        source,
        fingerprint,
        whole,
    )
    if row is not None and await _is_whole(connection, row["id"], row["lines"]):
        counts = orjson.loads(row["counts"])
        after = (row["after_type"], row["after_id"])
        return Load(row["id"], source, whole, row["phase"], row["lines"], after, counts)
    await connection.execute("SET LOCAL statement_timeout = 0")
    await connection.execute(
        "DELETE FROM load_fragment WHERE load IN (SELECT id FROM load WHERE source = $1)", source
    )
    await connection.execute(
        "UPDATE load SET finished_at = now(), phase = 'dropped' WHERE source = $1 AND finished_at IS NULL",
        source,
    )
    id_ = await connection.fetchval(
        "INSERT INTO load (source, file, fingerprint, whole) VALUES ($1, $2, $3, $4) RETURNING id",
        source,
        file,
        fingerprint,
        whole,
    )
    return Load(id_, source, whole, "reading", 0, ("", ""))


async def _is_whole(connection: Connection, load: int, lines: int) -> bool:
    """Whether the fragments of a load are still there: a crash of PostgreSQL empties their table."""
    sql = "SELECT EXISTS (SELECT FROM load_fragment WHERE load = $1)"
    return lines == 0 or bool(await connection.fetchval(sql, load))


async def began_at(connection: Connection, load: int) -> datetime | None:
    """When the load was begun, however often it was broken off since; None if there is none."""
    began: datetime | None = await connection.fetchval("SELECT started_at FROM load WHERE id = $1", load)
    return began


async def keep(connection: Connection, load: Load) -> None:
    """Stores the progress of the load."""
    await connection.execute(
        "UPDATE load SET phase = $2, lines = $3, after_type = $4, after_id = $5, counts = $6 WHERE id = $1",
        load.id,
        load.phase,
        load.lines,
        *load.after,
        orjson.dumps(load.counts).decode(),
    )


async def lay_down(
    connection: Connection, load: Load, rows: Sequence[tuple[str, str, int, bool, bool, bytes]]
) -> None:
    """Stores fragments: type, id, line, gone, completes, content."""
    await connection.copy_records_to_table(
        "load_fragment",
        records=[(load.id, *row) for row in rows],
        columns=["load", "resource_type", "id", "line", "gone", "completes", "content"],
    )


async def refuse(connection: Connection, load: Load, rows: Sequence[tuple[int, str, str, str]]) -> None:
    """Stores lines of the report: line, `refused` or `remark`, reason, detail."""
    await connection.copy_records_to_table(
        "load_refusal",
        records=[(load.id, *row) for row in rows],
        columns=["load", "line", "kind", "reason", "detail"],
    )


async def refusals(connection: Connection, load: int) -> Sequence[Mapping[str, Any]]:
    """The lines of the report, in the order of the file."""
    rows = await connection.fetch(
        "SELECT line, kind, reason, detail FROM load_refusal WHERE load = $1 ORDER BY line, kind DESC", load
    )
    return [dict(row) for row in rows]


_NEXT = """
WITH ids AS (
    SELECT DISTINCT resource_type, id FROM load_fragment
    WHERE load = $1 AND (resource_type, id) > ($2, $3) ORDER BY resource_type, id LIMIT $4
)
SELECT f.resource_type, f.id, array_agg(f.content ORDER BY f.line) AS contents,
       (array_agg(f.gone ORDER BY f.line DESC))[1] AS gone, bool_and(f.completes) AS incomplete, min(f.line) AS line
FROM ids JOIN load_fragment AS f ON f.load = $1 AND f.resource_type = ids.resource_type AND f.id = ids.id
GROUP BY f.resource_type, f.id ORDER BY f.resource_type, f.id
"""


async def next_said(connection: Connection, load: Load, most: int) -> list[Said]:
    """The fragments of the next resources of the file."""
    rows = await connection.fetch(_NEXT, load.id, *load.after, most)
    return [Said(**{**row, "contents": tuple(row["contents"])}) for row in rows]


async def known_digests(
    connection: Connection, source: str, resource_type: str, ids: Sequence[str]
) -> Mapping[str, bytes]:
    """id → digest of what the source gave last for these resources."""
    rows = await connection.fetch(
        "SELECT id, digest FROM load_known WHERE source = $1 AND resource_type = $2 AND id = ANY($3::text[])",
        source,
        resource_type,
        list(ids),
    )
    return {row["id"]: row["digest"] for row in rows}


async def given_by_others(
    connection: Connection, source: str, resource_type: str, ids: Sequence[str]
) -> frozenset[str]:
    """The ids that a source of higher precedence gives: as there, or as closed. What its whole file no longer has is not
    given by it any more."""
    before = PRECEDENCE[: PRECEDENCE.index(source)] if source in PRECEDENCE else ()
    if not before:
        return frozenset()
    rows = await connection.fetch(
        "SELECT id FROM load_known WHERE source = ANY($1::text[]) AND resource_type = $2 AND id = ANY($3::text[])"
        " AND NOT (gone AND digest = $4)",
        list(before),
        resource_type,
        list(ids),
        STOPPED,
    )
    return frozenset(row["id"] for row in rows)


async def remember(
    connection: Connection, load: Load, resource_type: str, digests: Mapping[str, bytes], gone: frozenset[str]
) -> None:
    """Stores the digests of what the source gives now for these resources, or STOPPED, or LEFT."""
    await connection.execute(
        "INSERT INTO load_known (source, resource_type, id, digest, load, gone)"
        " SELECT $1, $2, given.id, given.digest, $3, given.gone"
        " FROM unnest($4::text[], $5::bytea[], $6::boolean[]) AS given (id, digest, gone)"
        " ON CONFLICT (source, resource_type, id)"
        " DO UPDATE SET digest = excluded.digest, load = excluded.load, gone = excluded.gone",
        load.source,
        resource_type,
        load.id,
        list(digests),
        list(digests.values()),
        [id_ in gone for id_ in digests],
    )


async def seen(connection: Connection, load: Load, entries: Sequence[tuple[str, str]]) -> None:
    """Marks entries (type, id) as present in the file, although their lines were refused."""
    await connection.execute(
        "UPDATE load_known SET load = $2 FROM unnest($3::text[], $4::text[]) AS had (resource_type, id)"
        " WHERE source = $1 AND load_known.resource_type = had.resource_type AND load_known.id = had.id",
        load.source,
        load.id,
        [resource_type for resource_type, _ in entries],
        [id_ for _, id_ in entries],
    )


_MISSING = """
SELECT (
    SELECT count(*) FROM load_known AS known
    WHERE known.source = $1 AND NOT known.gone AND known.load < $2 AND NOT EXISTS (
        SELECT FROM load_fragment AS f
        WHERE f.load = $2 AND f.resource_type = known.resource_type AND f.id = known.id AND NOT f.completes
    )
) AS missing, (SELECT count(*) FROM load_known WHERE source = $1 AND NOT gone) AS given
"""


async def missing(connection: Connection, load: Load) -> tuple[int, int]:
    """Returns how many entries that the source had given this load neither has nor has seen, and how many it had given."""
    await connection.execute("SET LOCAL statement_timeout = 0")
    row = await connection.fetchrow(_MISSING, load.source, load.id)
    assert row is not None
    return row["missing"], row["given"]


async def next_missing(connection: Connection, load: Load, most: int) -> list[tuple[str, str]]:
    """The next entries of the source that this load has not seen."""
    rows = await connection.fetch(
        "SELECT resource_type, id FROM load_known WHERE source = $1 AND NOT gone AND load < $2"
        " ORDER BY resource_type, id LIMIT $3",
        load.source,
        load.id,
        most,
    )
    return [(row["resource_type"], row["id"]) for row in rows]


async def finished(connection: Connection, load: Load, phase: str) -> None:
    """Closes the load, and deletes the fragments of its file."""
    load.phase = phase
    await connection.execute("SET LOCAL statement_timeout = 0")
    await keep(connection, load)
    await connection.execute("UPDATE load SET finished_at = now() WHERE id = $1", load.id)
    await connection.execute("DELETE FROM load_fragment WHERE load = $1", load.id)
