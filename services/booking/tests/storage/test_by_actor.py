"""Whose agendas are whose is looked up by index, of however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import orjson
import pytest
from services.booking.tests.recorder import Recorder

from creneau_booking.storage.agendas.by_actor import agendas_of_actors

AGENDAS, AT_A_PLACE = 5_000, 40
_FILL = (
    # What triggers keep is written here as they have it: each agenda names a role alone, every fortieth of one place.
    "SET session_replication_role = replica",
    "INSERT INTO practitioner_role (id, version, last_updated, content, terms) SELECT 'r' || n, 1, now(), '{}',"
    f" ARRAY['practitioner=Practitioner/p' || n, 'location=Location/l' || n / {AT_A_PLACE}]"
    f" FROM generate_series(0, {AGENDAS - 1}) AS n",
    f"INSERT INTO role_place SELECT 'l' || n / {AT_A_PLACE}, 'r' || n FROM generate_series(0, {AGENDAS - 1}) AS n",
    "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'a' || n, 1, now(), '{}',"
    f" ARRAY['actor=PractitionerRole/r' || n] FROM generate_series(0, {AGENDAS - 1}) AS n",
    "INSERT INTO agenda_named SELECT 'PractitionerRole/r' || substr(id, 2), key FROM schedule",
    "SET session_replication_role = origin",
    "VACUUM ANALYZE",
)


@pytest.fixture(scope="module")
async def country(postgres_server: Any, template: str) -> AsyncIterator[asyncpg.Connection]:
    url = postgres_server.create_database("booking_by_actor", template=template)
    connection = await asyncpg.connect(url, server_settings={"jit": "off", "timezone": "UTC"})
    for statement in _FILL:
        await connection.execute(statement)
    yield connection
    await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
@pytest.mark.parametrize(
    ("reference", "agendas"),
    [("Practitioner/p7", 1), ("PractitionerRole/r7", 1), ("Location/l7", AT_A_PLACE), ("Schedule/a7", 1)],
)
async def test_no_more_is_read_than_is_theirs(
    country: asyncpg.Connection, reference: str, agendas: int, generic: bool
) -> None:
    recorder = Recorder(country)
    found = await agendas_of_actors(recorder, [reference])  # type: ignore[arg-type]
    assert len(found) == agendas
    [(statement, values)] = recorder.asked
    await country.execute(f"SET plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    explained = await country.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
    await country.execute("RESET plan_cache_mode")
    read: Counter[str] = Counter()
    for node in nodes(orjson.loads(explained)[0]["Plan"]):
        passed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        read[node.get("Relation Name", "")] += round((node["Actual Rows"] + passed) * node["Actual Loops"])
    tables = ("schedule", "agenda_named", "practitioner_role", "role_place")
    assert {name: read[name] for name in tables if read[name] > 8 * agendas + 10} == {}
