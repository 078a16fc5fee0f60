"""`python -m tests.load.slot_size`: the bytes that one slot takes, by column and by index.

A PostgreSQL of its own with booking's tables, filled with SLOTS slots (240,000), once with ids like the
demonstration's and once with UUIDs: agenda by agenda, as feeds write them, eight weeks each. Measured as they are free,
and again when TAKEN of a hundred have been booked in no order, a tenth of these been given back, and vacuum has passed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from tests.fixtures.postgres import running_postgres

from creneau_booking.storage.mapping.slot import KEY_SQL
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_shared.database.migrations import find_migrations, migrate

SLOTS = int(os.environ.get("SLOTS", "240000"))
TAKEN = int(os.environ.get("TAKEN", "20"))
DAYS = 56
A_DAY = 16
AGENDAS = -(-SLOTS // (DAYS * A_DAY))
AT_ONCE = 20
"""bookings a transaction"""
FIRST = datetime.now(UTC).replace(hour=7, minute=0, second=0, microsecond=0) + timedelta(days=1)
NAMES = {
    "the demonstration's ids": "agenda || '-1-' || to_char(start, 'YYYYMMDD-HH24MI')",
    "UUIDs": "uuidv7()::text",
}
"""What slots are called → SQL of it."""
_AGENDAS = (
    "INSERT INTO schedule (id, version, last_updated, content, terms)"
    " SELECT format('demo-%s-%s', substr(md5(n::text), 1, 8), n % 10), 1, now(), '{}', '{}' FROM generate_series(1, $1) AS n"
    " ON CONFLICT DO NOTHING",
    "INSERT INTO agenda (schedule_key, open) SELECT key, true FROM schedule",
    "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms) SELECT key, 'x', '', '', '{}' FROM schedule",
)
_FILL = f"""
INSERT INTO slot (id, name, start, "end", status, said, schedule_key, kind_key, last_updated, version)
SELECT id, nullif(called, id::text), start, start + interval '20 min', 'free', 'free', schedule_key, kind_key, now(), 1
FROM (SELECT called, {KEY_SQL.format(id="called")} AS id, start, schedule_key, kind_key FROM (
 SELECT CALLED AS called, place.* FROM (
  SELECT schedule.id AS agenda, slot_kind.schedule_key, slot_kind.key AS kind_key, moment.start
  FROM slot_kind JOIN schedule ON schedule.key = slot_kind.schedule_key,
    generate_series(0, {DAYS - 1}) AS day, generate_series(0, {A_DAY - 1}) AS visit,
    LATERAL (SELECT $1::timestamptz + day * interval '1 day' + (visit * 20 + slot_kind.key % 4 * 5) * interval '1 min'
      AS start) AS moment
  ORDER BY slot_kind.schedule_key, day, visit) AS place) AS named) AS slots
"""
_TAKE = """
UPDATE slot SET status = 'busy', taken_by = uuidv7()::text, version = version + 1, last_updated = now()
WHERE id = ANY($1::uuid[])
"""
_GIVE_BACK = """
UPDATE slot SET status = 'free', taken_by = NULL, version = version + 1, last_updated = now() WHERE id = ANY($1::uuid[])
"""
_COLUMNS = """
SELECT string_agg(format('sum(pg_column_size(%1$I)) AS %1$I', attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = 'slot'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated <> 'v'
"""
_PARTS = """
SELECT regexp_replace(regexp_replace(pg_class.relname, '_[0-9]{4}_[0-9]{2}', ''), '_idx1?$', '') AS part, relkind = 'r' AS heap,
  sum(pg_relation_size(pg_class.oid)) AS bytes
FROM pg_class LEFT JOIN pg_index ON indexrelid = pg_class.oid
WHERE coalesce(indrelid, pg_class.oid) IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'slot'::regclass)
  AND NOT starts_with(relname, 'slot_default')
GROUP BY 1, 2 ORDER BY 2 DESC, 3 DESC
"""
_HOT = """
SELECT sum(n_tup_hot_upd) / nullif(sum(n_tup_upd), 0)::float FROM pg_stat_user_tables WHERE starts_with(relname, 'slot_2')
"""


@dataclass(frozen=True)
class Size:
    """Bytes a slot."""

    columns: dict[str, float]
    parts: dict[str, float]
    """the table first, then each index"""

    @property
    def whole(self) -> float:
        return sum(self.parts.values())

    def told(self) -> str:
        columns = ", ".join(f"{name} {size:.1f}" for name, size in self.columns.items() if size >= 0.05)
        rest = next(iter(self.parts.values())) - sum(self.columns.values())
        parts = "".join(f"\n    {size:6.1f}  {name}" for name, size in self.parts.items())
        return f"{self.whole:.0f} bytes a slot{parts}\n    columns: {columns}; header, padding and room {rest:.1f}"


async def measure(connection: asyncpg.Connection) -> Size:
    """What there is now, all that is dead swept away."""
    await connection.execute("VACUUM (ANALYZE) slot")
    count = await connection.fetchval("SELECT count(*) FROM slot")
    columns = await connection.fetchval(_COLUMNS)
    (row,) = await connection.fetch(f"SELECT {columns} FROM slot")
    parts = await connection.fetch(_PARTS)
    return Size(
        {name: float(size or 0) / count for name, size in row.items()},
        {("rows" if part["heap"] else part["part"]): float(part["bytes"]) / count for part in parts},
    )


async def book(connection: asyncpg.Connection) -> None:
    """TAKEN of a hundred slots, a few at a time; then give some back."""
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM slot")]
    chosen = random.Random(7).sample(ids, len(ids) * TAKEN // 100)
    for at in range(0, len(chosen), AT_ONCE):
        await connection.execute(_TAKE, chosen[at : at + AT_ONCE])
    for at in range(0, len(chosen) // 10, AT_ONCE):
        await connection.execute(_GIVE_BACK, chosen[at : at + AT_ONCE])


async def fill(url: str, name: str) -> None:
    """Tables, months, and slots that are called so (SQL)."""
    await migrate(find_migrations("creneau_booking"), url)
    connection = await asyncpg.connect(url)
    await ensure_partitions(connection, datetime.now(UTC), 4)
    for statement in _AGENDAS:
        await connection.execute(statement, *([AGENDAS] if "$1" in statement else []))
    await connection.execute(_FILL.replace("CALLED", name), FIRST)
    await connection.close()


async def tell(url: str, what: str) -> None:
    """Measure twice and say so."""
    await fill(url, NAMES[what])
    connection = await asyncpg.connect(url)
    print(f"{what}, all free: {(await measure(connection)).told()}", flush=True)
    await book(connection)
    size = await measure(connection)
    await connection.execute("SELECT pg_stat_force_next_flush()")
    await connection.close()
    connection = await asyncpg.connect(url)
    hot = await connection.fetchval(_HOT)
    print(f"{what}, {TAKEN} of 100 booked, {hot:.1%} of it in place: {size.told()}", flush=True)
    await connection.close()


def main() -> int:
    """Measure; 0 when it could be done."""
    with running_postgres() as server:
        for what in NAMES:
            asyncio.run(tell(server.create_database(), what))
    return 0


if __name__ == "__main__":
    sys.exit(main())
