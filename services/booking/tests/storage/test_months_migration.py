"""What stood in the database before its trail and its superseded versions went by months."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from alembic import command
from alembic.config import Config
from services.booking.tests.factories import patient, unique
from services.booking.tests.practice import Practice
from services.booking.tests.storage.test_retention import count, retention

from creneau_booking.storage.tables import metadata
from creneau_shared.database.migrations import check_migrations, find_migrations
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import HistoryQuery

BASE = "https://creneau.example/fhir"
ROW = (
    "INSERT INTO audit (id, recorded, action, interaction, agent, role, resource_type, terms)"
    " SELECT uuidv7(), now() - n * interval '1 day', 'R', 'read', 'x', 'system', 'Patient', ARRAY['patient=Patient/' || n]"
    " FROM generate_series(0, 1200) AS n"
)
STORED = "SELECT pg_relation_filenode('{}')"
VERSION = (
    "INSERT INTO resource_history (resource_type, id, version, last_updated, content)"
    " VALUES ('Patient', $1, $2, $3, '{}')"
)


async def _migrate(practice: Practice, to: str, *, back: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = str(practice.settings.database_url)
    await asyncio.to_thread(command.downgrade if back else command.upgrade, config, to)


async def scalar(practice: Practice, sql: str, *values: object) -> Any:
    return await practice.database.pool.fetchval(sql, *values)


async def test_what_there_was_becomes_a_partition_without_a_row_being_moved(fresh: Practice) -> None:
    """Its files stay its own, and whoever could use the table can go on, before anything is granted again."""
    await _migrate(fresh, "0014", back=True)
    role = unique("reader").replace("-", "_")
    await fresh.database.pool.execute(f"CREATE ROLE {role}; GRANT SELECT, INSERT ON audit TO {role}")
    await fresh.database.pool.execute(ROW)
    file = await scalar(fresh, STORED.format("audit"))
    await _migrate(fresh, "head")
    assert await scalar(fresh, STORED.format("audit_before")) == file
    assert await count(fresh, "audit") == await count(fresh, "audit_before") == 1201
    for table in ("audit", "audit_default"):
        may = [
            await scalar(fresh, f"SELECT has_table_privilege('{role}', '{table}', '{privilege}')")
            for privilege in ("SELECT", "INSERT", "DELETE")
        ]
        assert may == [True, True, False]
    await check_migrations(find_migrations("creneau_booking"), metadata, str(fresh.settings.database_url))
    fresh.clock.instant = await scalar(fresh, "SELECT now()")
    assert (await retention(fresh, audit_kept_days=1000).apply())["audit"] == 201
    fresh.clock.advance(timedelta(days=1100))
    assert (await retention(fresh, audit_kept_days=1000).apply())["audit"] > 0
    assert await scalar(fresh, "SELECT to_regclass('audit_before')") is None
    await fresh.database.pool.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_versions_from_before_go_by_their_successor_s_time(fresh: Practice) -> None:
    """They do not say when they were replaced, and are kept no longer for it."""
    id_ = unique("p")
    await fresh.put({**patient(), "id": id_})
    store = GenericStore("Patient", BASE)
    async with fresh.database.transaction() as connection:
        await store.put(connection, fresh.context(), id_, {**patient(), "gender": "other"})
    await _migrate(fresh, "0014", back=True)
    old = unique("p")
    for version, age in enumerate((399, 398, 10), 1):
        made = fresh.clock.now() - timedelta(days=age)
        await fresh.database.pool.execute(VERSION, old, version, made)
    await _migrate(fresh, "head")
    assert await count(fresh, "resource_history_before") == 4
    async with fresh.database.connection() as connection:
        query = HistoryQuery(id_, None, None, 10)
        versions = await store.history(connection, query)
    assert [version.version for version in versions] == [2, 1]
    assert (await retention(fresh, superseded_kept_days=100).apply())["superseded-versions"] == 1
    left = await fresh.database.pool.fetch(
        "SELECT version FROM resource_history WHERE id = $1 ORDER BY 1", old
    )
    assert [row["version"] for row in left] == [2, 3]
    assert await count(fresh, "resource_history", "id = $1", id_) == 1


async def test_there_and_back_keeps_every_row(fresh: Practice) -> None:
    """Also what months of its own had come to hold; what an attempt that failed has left is in nobody's way."""
    await fresh.database.pool.execute(ROW.replace("- n", "+ 0.1 * n"))
    await _migrate(fresh, "0014", back=True)
    assert await count(fresh, "audit") == 1201
    await fresh.database.pool.execute(
        "ALTER TABLE audit ADD CONSTRAINT ck_audit_before CHECK (recorded < '2999-01-01') NOT VALID;"
        " ALTER TABLE resource_history ADD COLUMN superseded_at timestamptz NOT NULL DEFAULT now()"
    )
    await _migrate(fresh, "head")
    assert await count(fresh, "audit") == 1201
