"""Processes that migrate together go one after the other, and none is in the way of what another does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from tests.fixtures.postgres import NewDatabase

from creneau_shared.database.migrations import LOCK, migrate

ENV = """
from sqlalchemy import MetaData

from creneau_shared.database.migrations import run_migrations

run_migrations(MetaData())
"""
VERSION = """
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    op.execute("CREATE TABLE made (id int)")
"""
ASKS_FOR_THE_LOCK = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock%'"""


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A service's migrations: one table."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions" / "0001_made.py").write_text(VERSION)
    return tmp_path


async def test_who_waits_to_migrate_holds_up_no_index_of_who_migrates(
    new_database: NewDatabase, migrations: Path
) -> None:
    """`CREATE INDEX CONCURRENTLY` waits for every older snapshot: one that is kept while waiting for the lock would end
    one of the two as a deadlock."""
    url = new_database()
    first = await asyncpg.connect(url)
    try:
        await first.execute("CREATE TABLE thing (id int)")
        await first.execute("SELECT pg_advisory_lock($1)", LOCK)
        second = asyncio.create_task(migrate(migrations, url))
        async with asyncio.timeout(60):
            while not await first.fetchval(ASKS_FOR_THE_LOCK):
                await first.execute("SELECT pg_sleep(0.01)")
        await first.execute("CREATE INDEX CONCURRENTLY ix_thing ON thing (id)")
        assert await first.fetchval("SELECT to_regclass('made')") is None, "the second waits for its turn"
        await first.execute("SELECT pg_advisory_unlock($1)", LOCK)
        await asyncio.wait_for(second, 60)
        assert await first.fetchval("SELECT to_regclass('made')::text") == "made"
    finally:
        await first.close()
