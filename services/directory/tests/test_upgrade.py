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


async def test_an_older_process_puts_down_for_the_worker_while_an_upgrade_rolls(
    new_database: Callable[[], str],
) -> None:
    """It says ON CONFLICT DO NOTHING and takes rows by their role: both go on, and nothing that it puts down is lost in a row
    that somebody takes meanwhile."""
    url = new_database()
    await migrate(find_migrations("creneau_directory"), url)
    one, two = await asyncpg.connect(url), await asyncpg.connect(url)
    put_down = "INSERT INTO care_due (role) VALUES ('r') ON CONFLICT DO NOTHING"
    take = (
        "DELETE FROM care_due WHERE role IN (SELECT role FROM care_due ORDER BY role LIMIT 500 FOR UPDATE SKIP LOCKED)"
        " RETURNING role"
    )
    await one.execute(put_down)
    async with one.transaction():
        await one.execute(put_down)
        assert len(await two.fetch(take)) == 1
    assert len(await two.fetch(take)) == 1
    await one.close()
    await two.close()
