"""`python -m tests.load.upgrade`: how long bringing a large database to the newest version takes, and who waits for it.

A PostgreSQL of its own with booking's database as version UPGRADE_FROM (a revision, `0020`) left it, with 1,000,000 slots
and 200,000 appointments laid in; writers of that version go on meanwhile, and whoever takes longest says so.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass, field

import asyncpg
from alembic import command
from alembic.config import Config
from tests.fixtures.postgres import running_postgres

from creneau_shared.database.migrations import find_migrations, migrate

FROM = os.environ.get("UPGRADE_FROM", "0020")
AGENDAS = 1_000
SLOTS = 1_000_000
APPOINTMENTS = 200_000
WRITERS = 4
BESIDE_S = 3.0
"""how long the writers are watched before and after"""
_LAY_IN = (
    "INSERT INTO schedule (id, version, last_updated, content, terms)"
    " SELECT 'a' || n, 1, now(), '{}', ARRAY['actor', 'actor=Practitioner/d' || n] FROM generate_series(1, $1) AS n",
    "INSERT INTO agenda (schedule_key, open) SELECT key, true FROM schedule",
    "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms) SELECT key, 'x', '', '', '{}' FROM schedule",
    'INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)'
    " SELECT gen_random_uuid(), at, at + interval '15 min', schedule_key, slot_kind.key, now(), 1, 'free', 'free'"
    " FROM slot_kind, generate_series(0, $1 - 1) AS n, LATERAL (SELECT now() + n * interval '15 min' AS at) AS moment",
    "INSERT INTO appointment (id, version, last_updated, content, terms)"
    " SELECT 'v' || n, 1, now(), convert_to(repeat('x', 900), 'UTF8'), ARRAY['status', 'status=booked', 'service-type',"
    " 'service-type=AMB', 'service-type=s|AMB', 'service-type=s|', 'actor', 'actor=Patient/p' || n, 'patient',"
    " 'patient=Patient/p' || n, 'slot', 'slot=Slot/' || n, 'date', '~agenda=a' || n % 1000]"
    " FROM generate_series(1, $1) AS n",
    "INSERT INTO outbox (event_id, topic, key, type, subject, source, time, published_at)"
    " SELECT gen_random_uuid(), 't', 'v' || n, 'x', 'x', 'x', now(), now() FROM generate_series(1, $1) AS n",
)
_BOOK = """
WITH claimed AS (
  UPDATE slot SET status = 'busy', version = version + 1 WHERE (schedule_key, start, id) = (
    SELECT schedule_key, start, id FROM slot WHERE schedule_key = $1 AND status = 'free' LIMIT 1) RETURNING id
), kept AS (
  INSERT INTO appointment (id, version, last_updated, content, terms)
  SELECT gen_random_uuid()::text, 1, now(), '{}', ARRAY['status=booked', 'slot=Slot/' || id] FROM claimed RETURNING id
)
INSERT INTO outbox (event_id, topic, key, type, subject, source, time)
SELECT gen_random_uuid(), 't', id, 'x', 'x', 'x', now() FROM kept
"""


@dataclass
class Watch:
    """How long the writers' bookings have taken, in seconds, since it was last looked at."""

    taken: list[float] = field(default_factory=list)

    def told(self) -> str:
        taken, self.taken = sorted(self.taken), []
        return (
            f"{len(taken)} bookings, median {taken[len(taken) // 2] * 1000:.1f} ms, p99"
            f" {taken[int(len(taken) * 0.99)] * 1000:.0f} ms, the longest {taken[-1] * 1000:.0f} ms"
        )


async def lay_in(url: str) -> None:
    """What there was."""
    connection = await asyncpg.connect(url)
    counts = (AGENDAS, None, None, SLOTS // AGENDAS, APPOINTMENTS, APPOINTMENTS)
    for statement, count in zip(_LAY_IN, counts, strict=True):
        await connection.execute(statement, *([count] if count is not None else []))
    await connection.execute("ANALYZE")
    await connection.close()


async def write(url: str, number: int, watch: Watch, stop: asyncio.Event) -> None:
    """One writer of the version before: one booking after the other, each in agendas of its own."""
    connection = await asyncpg.connect(url)
    keys = [row["key"] for row in await connection.fetch("SELECT key FROM schedule ORDER BY key")]
    own, turn = keys[number::WRITERS], 0
    while not stop.is_set():
        began = time.perf_counter()
        await connection.execute(_BOOK, own[turn % len(own)])
        watch.taken.append(time.perf_counter() - began)
        turn += 1
    await connection.close()


async def upgrade(url: str) -> None:
    """Bring it up while others write, and tell."""
    await lay_in(url)
    watch, stop = Watch(), asyncio.Event()
    writers = [asyncio.create_task(write(url, number, watch, stop)) for number in range(WRITERS)]
    await asyncio.sleep(BESIDE_S)
    print(f"before:    {watch.told()}", flush=True)
    began = time.perf_counter()
    await migrate(find_migrations("creneau_booking"), url)
    lasted = time.perf_counter() - began
    print(f"meanwhile: {watch.told()}", flush=True)
    await asyncio.sleep(BESIDE_S)
    print(f"after:     {watch.told()}", flush=True)
    stop.set()
    await asyncio.gather(*writers)
    print(f"from {FROM} to the newest within {lasted:.1f} s", flush=True)


def main() -> int:
    """Upgrade once; 0 when it went well."""
    with running_postgres(durable=True) as server:
        url = server.create_database("upgrade")
        config = Config()
        config.set_main_option("script_location", str(find_migrations("creneau_booking")))
        config.attributes["url"] = url
        command.upgrade(config, FROM)
        asyncio.run(upgrade(url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
