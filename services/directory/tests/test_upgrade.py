"""What was stored before an upgrade is found after it as what was stored since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
from alembic import command
from alembic.config import Config

from creneau_shared.database.migrations import find_migrations, migrate

_ROW = "INSERT INTO care_situation (role, terms, facets, label) VALUES ($1, $2, '{}', '')"


async def test_who_is_in_no_small_lot_is_put_down_for_the_worker(new_database: Callable[[], str]) -> None:
    """Or else people's search in all of France would show whoever was entered since, and nobody from before."""
    url, migrations = new_database(), find_migrations("creneau_directory")
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["url"] = url
    await asyncio.to_thread(command.upgrade, config, "0015")
    connection = await asyncpg.connect(url)
    await connection.execute(_ROW, "before", ["R38:SM15", "b:07"])
    await connection.execute(_ROW, "since", ["R38:SM15", "b:07", "l:071"])
    await migrate(migrations, url)
    due = await connection.fetch("SELECT role FROM care_due")
    await connection.close()
    assert [row["role"] for row in due] == ["before"]
