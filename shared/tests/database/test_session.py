"""How the sessions of the pool plan: every statement of ours is short, however large its table."""

from __future__ import annotations

from tests.fixtures.postgres import NewDatabase

from creneau_shared.database.pool import Database

EAGER = "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0"


async def test_no_statement_waits_for_helpers_to_start(new_database: NewDatabase) -> None:
    """A person's three appointments among millions are taken for thousands: starting helpers takes longer than they."""
    async with Database(new_database(), size=1, statement_timeout_s=60) as database:
        await database.pool.execute("CREATE TABLE visit AS SELECT n FROM generate_series(1, 20000) AS n")
        async with database.transaction() as connection:
            await connection.execute(EAGER)
            plan = await connection.fetch("EXPLAIN SELECT count(*) FROM visit WHERE n % 7 = 3")
    assert not any("Gather" in row[0] for row in plan), plan


async def test_the_session_of_a_machine_that_has_vanished_ends_within_a_minute(
    new_database: NewDatabase,
) -> None:
    """Its locks end with it: until then nobody else leads as a relay, for instance."""
    async with Database(new_database(), size=1, statement_timeout_s=60) as database:
        idle, interval, count = [
            int(str(await database.pool.fetchval(f"SELECT setting FROM pg_settings WHERE name = '{name}'")))
            for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        ]
    assert 0 < idle + interval * count <= 60
