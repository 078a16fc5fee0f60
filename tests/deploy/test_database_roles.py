"""A process that was taken over has one service's rows, and nothing else: no other database, no table of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from deploy.local.postgres import Postgres
from deploy.local.topology import roles
from tests.fixtures.postgres import running_postgres

from creneau_booking.storage.slots.partitions import drop_old_partitions, ensure_partitions
from creneau_shared.database.migrations import find_migrations, migrate

SERVICES = ("booking", "directory")
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of these tests' own: roles are the server's, not a database's."""
    with running_postgres() as running:
        yield running


def prepare(server: Postgres, service: str) -> None:
    server.ensure_service(service, owner_password="owner's", runtime_password="runtime's")


def url(server: Postgres, service: str, *, owner: bool = False, database: str | None = None) -> str:
    return server.url(database or f"creneau_{service}", roles(service)[0 if owner else 1])


async def migrated(server: Postgres, service: str) -> None:
    await migrate(
        find_migrations(f"creneau_{service}"),
        url(server, service, owner=True),
        runtime_role=roles(service)[1],
    )


@pytest.fixture(scope="module")
async def prepared(server: Postgres) -> Postgres:
    for service in SERVICES:
        prepare(server, service)
        await migrated(server, service)
    return server


async def run(of: str, sql: str) -> object:
    connection = await asyncpg.connect(of)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize("database", ["creneau_directory", "postgres", "template1"])
async def test_a_service_reaches_no_other_database(prepared: Postgres, database: str) -> None:
    for owner in (False, True):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run(url(prepared, "booking", owner=owner, database=database), "SELECT 1")


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE slot",
        "DROP TABLE slot_default",
        "TRUNCATE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "ALTER TABLE appointment ADD COLUMN mine text",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE slot (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION dblink",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "SET ROLE creneau_booking_owner",
        "UPDATE alembic_version SET version_num = '0001'",
        "SELECT pg_read_file('postgresql.conf')",
        "COPY appointment TO PROGRAM 'cat'",
        "SELECT rolpassword FROM pg_authid",
        "DROP DATABASE creneau_directory",
    ],
)
async def test_the_processes_role_has_rows_only(prepared: Postgres, sql: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
        await run(url(prepared, "booking"), sql)


async def test_it_reads_and_writes_every_table(prepared: Postgres) -> None:
    own = url(prepared, "booking")
    await run(own, "INSERT INTO revoked_token VALUES ('token', 'x', now(), now())")
    assert await run(own, "UPDATE revoked_token SET value = 'y' RETURNING value") == "y"
    assert await run(own, "DELETE FROM revoked_token RETURNING value") == "y"
    everything = (
        "SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'"
        " AND NOT has_table_privilege(oid, '{0}')"
    )
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        assert await run(own, everything.format(privilege)) is None


async def test_the_worker_makes_and_drops_partitions_all_the_same(prepared: Postgres) -> None:
    connection = await asyncpg.connect(url(prepared, "booking"))
    try:
        assert await ensure_partitions(connection, NOW, 2) == 4
        assert await ensure_partitions(connection, NOW, 2) == 0
        assert await drop_old_partitions(connection, datetime(2027, 1, 5, tzinfo=UTC), 1) == 2
        assert await connection.fetchval("SELECT count(*) FROM slot") == 0
    finally:
        await connection.close()


async def test_a_database_without_roles_is_taken_over_with_its_rows() -> None:
    """What `make run` and compose left behind before there were roles: everything was the superuser's."""
    with running_postgres() as server:
        old = server.create_database("creneau_booking")
        await migrate(find_migrations("creneau_booking"), old)
        connection = await asyncpg.connect(old)
        await ensure_partitions(connection, NOW, 1)
        await connection.execute("INSERT INTO revoked_token VALUES ('token', 'kept', now(), now())")
        await connection.close()
        for _ in range(2):
            prepare(server, "booking")
            await migrated(server, "booking")
        own = url(server, "booking")
        assert await run(own, "SELECT value FROM revoked_token") == "kept"
        assert await run(own, "SELECT make_slot_partition('2027-06-01')") is True
        foreign = (
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p', 'S') AND relowner <> 'creneau_booking_owner'::regrole"
        )
        assert await run(own, foreign) == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run(own, "DROP TABLE slot")


async def test_a_wrong_password_is_refused() -> None:
    """With passwords, as a local run has them: the roles' own, changed when they change."""
    with TemporaryDirectory(prefix="creneau-roles-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = Postgres(folder / "data", log=folder / "log", password="super")
        try:
            server.start()
            prepare(server, "booking")
            good = server.url("creneau_booking", "creneau_booking", "runtime's")
            assert await run(good, "SELECT current_user") == "creneau_booking"
            with pytest.raises(asyncpg.InvalidPasswordError):
                await run(server.url("creneau_booking", "creneau_booking", "owner's"), "SELECT 1")
        finally:
            server.stop()
