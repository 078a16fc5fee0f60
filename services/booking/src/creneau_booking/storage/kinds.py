"""Kinds of which no slot is any more. They are retired first: no search finds by them and no slot is given them again, but
versions of slots are told by them. They are removed once no version can be kept that is of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from creneau_booking.storage.availability.actors import try_alone
from creneau_shared.database.pool import Connection, Database

_NEXT = """
WITH looked AS MATERIALIZED (SELECT key, schedule_key FROM slot_kind WHERE key > $1 ORDER BY key LIMIT $2)
SELECT schedule_key, array_agg(key) AS kinds,
  ARRAY(SELECT DISTINCT kind_key FROM slot WHERE slot.schedule_key = looked.schedule_key) AS used
FROM looked GROUP BY schedule_key
"""
# The newest kind of an agenda stays: it tells that slots were once published in it (`agendas.states`).
_UNUSED = """
SELECT key FROM slot_kind
WHERE schedule_key = $1 AND key = ANY($2::bigint[]) AND {only}
  AND key < (SELECT max(newest.key) FROM slot_kind AS newest WHERE newest.schedule_key = $1)
  AND key <> ALL(ARRAY(SELECT DISTINCT kind_key FROM slot WHERE slot.schedule_key = $1))
ORDER BY key FOR UPDATE SKIP LOCKED
"""
# The digest is what a kind is taken by: a slot with the same content gets a kind of its own from then on.
RETIRE = f"""
WITH unused AS ({_UNUSED.format(only="retired_at IS NULL")})
UPDATE slot_kind SET retired_at = $3, digest = int8send(key) WHERE key IN (SELECT key FROM unused)
"""
_REMOVE = f"""
WITH unused AS ({_UNUSED.format(only="retired_at < $3")})
DELETE FROM slot_kind WHERE key IN (SELECT key FROM unused)
"""
_FOUND_NO_MORE = """
DELETE FROM {table} WHERE schedule_key = $1 AND kind_key = ANY($2::bigint[]) AND NOT EXISTS (
  SELECT FROM slot_kind WHERE slot_kind.key = {table}.kind_key AND retired_at IS NULL)
"""
_FOUND = tuple(_FOUND_NO_MORE.format(table=table) for table in ("found_by", "found_in", "first_free"))


@dataclass(frozen=True, slots=True)
class Cleared:
    """What one look did: kinds retired and removed, and the kind up to which it looked (0: it has looked at all)."""

    retired: int = 0
    removed: int = 0
    last: int = 0


async def clear_kinds(
    database: Database, after: int, most: int, now: datetime, *, retired_before: datetime
) -> Cleared:
    """Looks at the next `most` kinds after the kind `after` (a key). Each agenda has a transaction of its own, and one whose
    slots are being written is left to the next time."""
    async with database.connection() as connection:
        rows = await connection.fetch(_NEXT, after, most)
    retired = removed = 0
    for row in rows:
        if unused := sorted(set(row["kinds"]) - set(row["used"])):
            async with database.transaction() as connection:
                if await try_alone(connection, row["schedule_key"]):
                    retired += await _changed(connection, RETIRE, row["schedule_key"], unused, now)
                    removed += await _changed(
                        connection, _REMOVE, row["schedule_key"], unused, retired_before
                    )
                    for statement in _FOUND:
                        await connection.execute(statement, row["schedule_key"], unused)
    return Cleared(retired, removed, _last(rows, most))


async def _changed(
    connection: Connection, statement: str, agenda: int, kinds: Sequence[int], moment: datetime
) -> int:
    status: str = await connection.execute(statement, agenda, kinds, moment)
    return int(status.rpartition(" ")[2])


def _last(rows: Sequence[Record], most: int) -> int:
    seen = [key for row in rows for key in row["kinds"]]
    return max(seen) if len(seen) == most else 0
