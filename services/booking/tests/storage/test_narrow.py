"""The narrow tables of what agendas and roles refer to say what the resources say, whoever writes them, and whenever."""

from __future__ import annotations

import asyncio

import orjson
from alembic import command
from alembic.config import Config
from services.booking.tests.factories import BASE, ref, schedule, unique
from services.booking.tests.practice import Practice
from services.booking.tests.storage.test_slot_search import request_for
from services.booking.tests.surgery import hear

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.app import create_catalog
from creneau_booking.storage.tables import metadata
from creneau_shared.database.migrations import check_migrations, find_migrations
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.sql import EVERYTHING, compile_count

NAMED = """
SELECT substr(t, 7) AS reference, key AS schedule_key FROM schedule, unnest(terms) AS t WHERE t ~ '^actor=[A-Za-z]+/[^/]+$'
"""
PLACES = """
SELECT substr(t, 19) AS place, id AS role FROM practitioner_role, unnest(terms) AS t WHERE starts_with(t, 'location=Location/')
"""


async def named(connection: Connection, id_: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT reference FROM agenda_named JOIN schedule ON key = schedule_key WHERE id = $1 ORDER BY 1", id_
    )
    return [row["reference"] for row in rows]


async def assert_kept(connection: Connection) -> None:
    """Both tables hold what is said and nothing else."""
    for table, columns, said in (
        ("agenda_named", "reference, schedule_key", NAMED),
        ("role_place", "place, role", PLACES),
    ):
        differing = await connection.fetch(
            f"(SELECT {columns} FROM {table} EXCEPT ({said})) UNION ALL (({said}) EXCEPT SELECT {columns} FROM {table})"
        )
        assert differing == [], table


async def test_an_agenda_is_found_by_what_it_names_now(practice: Practice) -> None:
    id_, store = unique("agenda"), ScheduleStore(BASE)
    one, other = (f"Location/{unique('lieu')}" for _ in range(2))
    async with practice.database.transaction() as connection:
        context = practice.context()
        stored = await store.create(connection, context, schedule(id_, [one, f"{one}/_history/2"]), id_)
        assert await named(connection, id_) == [one]
        stored = await store.replace(connection, context, stored, schedule(id_, [other, "Practitioner/x"]))
        assert await named(connection, id_) == [other, "Practitioner/x"]
        await connection.execute("UPDATE schedule SET terms = terms || ARRAY['~owner=o'] WHERE id = $1", id_)
        assert await named(connection, id_) == [other, "Practitioner/x"]
        await store.delete(connection, context, stored)
        await assert_kept(connection)


async def test_a_role_is_found_by_where_it_is_now(practice: Practice) -> None:
    """By the directory's word, and by that it has taken back."""
    id_, places = unique("role"), [unique("lieu") for _ in range(2)]
    role = {"resourceType": "PractitionerRole", "id": id_}
    for version, place in enumerate(places, 1):
        meta = {"versionId": str(version), "lastUpdated": "2026-11-01T08:00:00Z"}
        await hear(practice, {**role, "meta": meta, "location": [ref(f"Location/{place}")]})
        rows = await practice.database.pool.fetch("SELECT place FROM role_place WHERE role = $1", id_)
        assert [row["place"] for row in rows] == [place]
    async with practice.database.transaction() as connection:
        await practice.replica()._forget(connection, f"PractitionerRole/{id_}")
        await assert_kept(connection)


async def test_what_there_was_is_found_as_what_is_written_meanwhile(fresh: Practice) -> None:
    """More rows than a batch holds, agendas that get other places meanwhile; an upgrade that was stopped begins again."""
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = str(fresh.settings.database_url)
    await asyncio.to_thread(command.downgrade, config, "0021")
    pool = fresh.database.pool
    await pool.execute(
        "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'n' || n, 1, now(), '{}',"
        " ARRAY['actor', 'actor=Practitioner/p' || n, 'actor=Location/l' || n % 9] FROM generate_series(1, 2500) AS n"
    )
    await pool.execute(
        "INSERT INTO practitioner_role (id, version, last_updated, content, terms) SELECT 'n' || n, 1, now(), '{}',"
        " ARRAY['location', 'location=Location/l' || n % 9] FROM generate_series(1, 1500) AS n"
    )
    upgrade = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "0022"))
    moved = 0
    while not upgrade.done():
        moved += 1
        await pool.execute(
            "UPDATE schedule SET terms = ARRAY['actor=Practitioner/q', 'actor=Location/m' || $1] WHERE id = 'n' || $2",
            str(moved),
            str(moved * 7 % 2500 + 1),
        )
    await upgrade
    assert moved > 1, "they were written while the upgrade went on"
    await pool.execute("UPDATE alembic_version SET version_num = '0021'")
    await asyncio.to_thread(command.upgrade, config, "0022")
    await asyncio.to_thread(command.upgrade, config, "head")
    async with fresh.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM agenda_named") == 5000
        assert await connection.fetchval("SELECT count(*) FROM role_place") == 1500
        await assert_kept(connection)
        for table in ("schedule", "practitioner_role"):
            await connection.execute(f"DELETE FROM {table} WHERE starts_with(id, 'n1')")
        await assert_kept(connection)
    await check_migrations(find_migrations("creneau_booking"), metadata, str(fresh.settings.database_url))


async def test_many_places_are_no_terms_that_are_looked_up_one_by_one(fresh: Practice) -> None:
    """Neither those of agendas nor those of roles."""
    for query in (
        "schedule.actor:Location.address-city=rennes",
        "schedule.actor:PractitionerRole.location.near=48|2|50|km",
    ):
        statement = compile_count(create_catalog(), EVERYTHING, request_for(query), None)
        explained = await fresh.database.pool.fetchval(
            f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values
        )
        assert b"agenda_named" in explained.encode()
        plan = orjson.dumps(orjson.loads(explained)).decode()
        assert "ix_schedule_terms" not in plan
        assert "ix_practitioner_role_terms" not in plan
