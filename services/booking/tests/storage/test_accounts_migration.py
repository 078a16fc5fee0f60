"""Accounts that were there before anybody was told of them: the migration of a database with data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
from alembic import command
from alembic.config import Config

from creneau_booking.publishing import account_event
from creneau_booking.storage.people.accounts import Account, Link, keep_link
from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.pool import Database

ACCOUNT, OTHER = Account("https://issuer", "camille"), Account("https://issuer", "yann")
END = datetime(2999, 5, 4, tzinfo=UTC)
LINKS = [Link("1"), Link("2", False, frozenset({"see"}), "r", until=END)]


async def test_every_account_is_told_of_as_a_change_would_have_told(
    new_database: Callable[..., str], template: str
) -> None:
    """Back to before, and up again: one event an account, the same as the code writes; ended links are no part of it."""
    url = new_database(template=template)
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = url
    async with (
        Database(url, size=2, statement_timeout_s=60) as database,
        database.transaction() as connection,
    ):
        for link in (*LINKS, Link("3", False, until=datetime(2020, 1, 1, tzinfo=UTC))):
            await keep_link(connection, ACCOUNT, link)
        await keep_link(connection, OTHER, Link("4"))
    await asyncio.to_thread(command.downgrade, config, "0011")
    await asyncio.to_thread(command.upgrade, config, "head")
    expected = [account_event(ACCOUNT, LINKS, None), account_event(OTHER, [Link("4")], None)]
    async with Database(url, size=2, statement_timeout_s=60) as database:
        rows = await database.pool.fetch("SELECT topic, key, type, subject, source, data FROM outbox")
    told = {row["key"]: (*row[:5], orjson.loads(row["data"])) for row in rows}
    assert told == {e.key: (e.topic, e.key, e.type, e.subject, e.source, e.data) for e in expected}
