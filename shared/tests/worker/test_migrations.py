"""Migrations are found, run once whoever starts first, and checked against the tables' declarations."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text
from tests.fixtures.postgres import NewDatabase

from creneau_shared.database.metadata import new_metadata
from creneau_shared.database.migrations import OutdatedMigrations, check_migrations, find_migrations, migrate

ENV = """
from example_tables import metadata
from creneau_shared.database.migrations import run_migrations

run_migrations(metadata)
"""

TABLES = """
from creneau_shared.database.metadata import new_metadata
from sqlalchemy import Column, Integer, Table

metadata = new_metadata()
Table("thing", metadata, Column("id", Integer, primary_key=True))
"""

FIRST = '''
"""The thing, by month."""
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("SELECT pg_sleep(0.3)")
    op.execute("CREATE TABLE thing (id integer NOT NULL, CONSTRAINT pk_thing PRIMARY KEY (id)) PARTITION BY RANGE (id)")
    op.execute("CREATE TABLE thing_1 PARTITION OF thing FOR VALUES FROM (0) TO (10)")
'''

SECOND = '''
"""A migration that meets a lock."""
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE thing ADD COLUMN name text")


def downgrade() -> None:
    op.execute("ALTER TABLE thing DROP COLUMN name")
'''


def declared(*columns: Column[str]) -> MetaData:
    metadata = new_metadata()
    Table("thing", metadata, Column("id", Integer, primary_key=True), *columns)
    return metadata


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service's migrations in a working copy: `migrations/` beside `src/`."""
    package = tmp_path / "src" / "example_service"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "src" / "example_tables.py").write_text(TABLES)
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "0001_thing.py").write_text(FIRST)
    monkeypatch.syspath_prepend(tmp_path / "src")
    for name in ("example_service", "example_tables"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def test_migrations_are_found_beside_a_working_copy_and_inside_a_wheel(migrations: Path) -> None:
    assert find_migrations("example_service") == migrations
    packaged = migrations.parent / "src" / "example_service" / "migrations"
    packaged.mkdir()
    (packaged / "env.py").touch()
    assert find_migrations("example_service") == packaged
    with pytest.raises(FileNotFoundError):
        find_migrations("example_without_migrations")


async def test_processes_that_start_together_migrate_once(
    migrations: Path, new_database: NewDatabase
) -> None:
    url = new_database()
    program = (
        "import asyncio, sys; from pathlib import Path; from creneau_shared.database.migrations import migrate; "
        "asyncio.run(migrate(Path(sys.argv[1]), sys.argv[2]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(migrations.parent / "src")}
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, migrations, url, env=environment)
        for _ in range(3)
    ]
    assert await asyncio.gather(*(process.wait() for process in processes)) == [0, 0, 0]
    await check_migrations(migrations, declared(), url)


async def test_the_check_names_what_the_migrations_lack(migrations: Path, new_database: NewDatabase) -> None:
    """And passes over partitions, which no declaration names."""
    url = new_database()
    with pytest.raises(OutdatedMigrations, match="not at 0001"):
        await check_migrations(migrations, declared(), url)
    await migrate(migrations, url)
    with pytest.raises(OutdatedMigrations, match="colour"):
        await check_migrations(migrations, declared(Column("colour", Text)), url)


async def test_a_migration_gives_up_on_a_lock_and_keeps_what_was_done_before(
    migrations: Path, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for an ALTER's lock would hold up every query behind it."""
    monkeypatch.setattr("creneau_shared.database.migrations.LOCK_TIMEOUT", "200ms")
    url = new_database()
    await migrate(migrations, url)
    (migrations / "versions" / "0002_name.py").write_text(SECOND)
    holder = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE thing IN ACCESS SHARE MODE")
            with pytest.raises(Exception, match="lock timeout"):
                await migrate(migrations, url)
        assert await holder.fetchval("SELECT version_num FROM alembic_version") == "0001"
    finally:
        await holder.close()
    await migrate(migrations, url)
    await check_migrations(migrations, declared(Column("name", Text)), url)


async def test_an_operator_can_go_back_and_forth(migrations: Path, new_database: NewDatabase) -> None:
    url = new_database()
    (migrations / "versions" / "0002_name.py").write_text(SECOND)
    await migrate(migrations, url)
    await migrate(migrations, url, back_to="0001")
    with pytest.raises(OutdatedMigrations, match="not at 0002"):
        await check_migrations(migrations, declared(Column("name", Text)), url)
    await migrate(migrations, url)
    await check_migrations(migrations, declared(Column("name", Text)), url)
