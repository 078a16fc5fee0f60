"""What was stored before an upgrade is found after it as what was stored since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
from alembic import command
from alembic.config import Config

from creneau_shared.database.migrations import find_migrations, migrate

_ROW = "INSERT INTO care_situation (role, terms, facets, label) VALUES ($1, $2, '{}', '')"
_ROLE = "INSERT INTO practitioner_role (id, version, last_updated, deleted, content) VALUES ($1, 1, now(), $3, $2)"
_MIGRATIONS = find_migrations("creneau_directory")


async def _upgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    await asyncio.to_thread(command.upgrade, config, revision)


async def test_who_is_in_no_small_lot_is_put_down_for_the_worker(new_database: Callable[[], str]) -> None:
    """Or else people's search in all of France would show whoever was entered since, and nobody from before."""
    url = new_database()
    await _upgrade(url, "0015")
    connection = await asyncpg.connect(url)
    await connection.execute(_ROW, "before", ["R38:SM15", "b:07"])
    await connection.execute(_ROW, "since", ["R38:SM15", "b:07", "l:071"])
    await migrate(_MIGRATIONS, url)
    due = await connection.fetch("SELECT role FROM care_due")
    await connection.close()
    assert [row["role"] for row in due] == ["before"]


async def test_an_older_process_puts_down_for_the_worker_while_an_upgrade_rolls(
    new_database: Callable[[], str],
) -> None:
    """It says ON CONFLICT DO NOTHING and takes rows by their role: both go on, and nothing that it puts down is lost in a row
    that somebody takes meanwhile."""
    url = new_database()
    await migrate(_MIGRATIONS, url)
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


async def test_who_was_entered_before_is_entered_again_with_the_days_of_the_role(
    new_database: Callable[[], str],
) -> None:
    """Or else who left before the upgrade would be found until somebody writes their role again. A process of before goes on
    entering rows, without days."""
    url = new_database()
    await _upgrade(url, "0019")
    connection = await asyncpg.connect(url)
    await connection.execute(_ROLE, "left", b"{}", False)
    await connection.execute(_ROLE, "deleted", None, True)
    await migrate(_MIGRATIONS, url)
    due = await connection.fetch("SELECT role FROM care_due")
    await connection.execute(_ROW, "older", ["R38:SM15"])
    day = await connection.fetchval("SELECT coalesce(since, until) FROM care_situation")
    await connection.close()
    assert ([row["role"] for row in due], day) == (["left"], None)
