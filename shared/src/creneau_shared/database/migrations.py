"""Migrations: run, found and checked in the same way by every service.

A service keeps them in `services/<name>/migrations/` (`env.py`, `script.py.mako`, `versions/`); its wheel
carries them as `creneau_<name>/migrations`. Its `env.py` is two imports and one call:

    from creneau_booking.storage.tables import metadata
    from creneau_shared.database.migrations import run_migrations

    run_migrations(metadata)

A migration must not hold up the running service: it gives up when a lock takes longer than 5 s. Each runs in a
transaction of its own, so that the next attempt goes on where this one stopped.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

LOCK = 0x6372656E_6D696772
"""Key of the advisory lock: two processes that start together migrate one after the other."""
LOCK_RETRY_S = 0.2
"""pause between two tries to take it, seconds"""
LOCK_TIMEOUT = "5s"

_alembic = threading.Lock()


class OutdatedMigrations(Exception):  # noqa: N818 - a state of the repository, found by a check
    """The schema that the migrations give differs from the tables' declarations."""


def find_migrations(package: str) -> Path:
    """The migrations of an installed service package (`creneau_booking`), from a wheel or a working copy.

    Raises FileNotFoundError.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{package} is not installed")
    folder = Path(spec.submodule_search_locations[0])
    for candidate in (folder / "migrations", folder.parents[1] / "migrations"):
        if (candidate / "env.py").is_file():
            return candidate
    raise FileNotFoundError(f"{package} has no migrations")


async def migrate(
    path: Path, url: str, *, runtime_role: str | None = None, back_to: str | None = None
) -> None:
    """Bring the database at `url` to the newest version of the migrations in `path`, as its owner; or `back_to` an earlier
    revision of them.

    `runtime_role` may then read and write the rows of every table there is, and nothing else.
    """

    def move() -> None:
        # Alembic's context is global to the process.
        with _alembic:
            if back_to is None:
                command.upgrade(_config(path, url), "head")
            else:
                command.downgrade(_config(path, url), back_to)

    await asyncio.to_thread(move)
    if runtime_role is not None:
        await _grant_rows(url, runtime_role)


async def _grant_rows(url: str, role: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        name = await connection.fetchval("SELECT quote_ident($1)", role)
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
            )
            await connection.execute(f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name}")
    finally:
        await connection.close()


async def check_migrations(path: Path, metadata: MetaData, url: str) -> None:
    """Raises OutdatedMigrations unless the migrations in `path`, all run at `url`, give the schema of `metadata`."""
    head = ScriptDirectory.from_config(_config(path, url)).get_current_head()
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_compare, metadata, head)
    finally:
        await engine.dispose()


def run_migrations(metadata: MetaData, url: str | None = None) -> None:
    """Runs the migrations that are due at `url`; called by a service's `env.py`.

    Without `url`: the URL given to `migrate`; with the `alembic` command, `DATABASE_OWNER_URL` or `DATABASE_URL`.
    """
    given = os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_URL")
    url = url or context.config.attributes.get("url") or given
    if url is None:
        raise KeyError("DATABASE_URL")
    asyncio.run(_run(metadata, url))


def _config(path: Path, url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(path).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def open_engine(url: str) -> AsyncEngine:
    """An engine that connects through asyncpg's own URL parsing: SQLAlchemy's does not know `sslmode` and similar."""
    scheme, separator, rest = url.partition("://")
    dsn = f"{scheme.split('+')[0]}{separator}{rest}"
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn), poolclass=NullPool
    )


async def _run(metadata: MetaData, url: str) -> None:
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            await _take_turn(connection)
            await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.commit()
            await connection.run_sync(_upgrade, metadata)
    finally:
        await engine.dispose()


async def _take_turn(connection: AsyncConnection) -> None:
    """Takes the lock once nobody else has it. It is the session's, so it outlives the commit, and ends with the session.

    Each try is a transaction of its own: a statement that waits for the lock keeps a snapshot, for which
    `CREATE INDEX CONCURRENTLY` of the lock's holder would wait in turn."""
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        await connection.commit()
        await asyncio.sleep(LOCK_RETRY_S)
    await connection.commit()


def _upgrade(connection: Connection, metadata: MetaData) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_type=True,
        include_object=_without_partitions(connection),
    )
    with context.begin_transaction():
        context.run_migrations()


def _compare(connection: Connection, metadata: MetaData, head: str | None) -> None:
    migration = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": _without_partitions(connection)}
    )
    if migration.get_current_revision() != head:
        raise OutdatedMigrations(f"the database is at {migration.get_current_revision()}, not at {head}")
    differences = compare_metadata(migration, metadata)
    if differences:
        raise OutdatedMigrations("; ".join(str(difference) for difference in differences))


def _without_partitions(connection: Connection) -> Callable[..., bool]:
    """Alembic's `include_object` that passes over partitions: they come and go with time, not with
    migrations.
    """
    partitions = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))
    connection.commit()

    def include(_: Any, name: str | None, kind: str, reflected: bool, __: Any) -> bool:
        return not (kind == "table" and reflected and name in partitions)

    return include
