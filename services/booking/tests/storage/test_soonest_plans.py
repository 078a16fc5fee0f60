"""What `$soonest` reads is bounded by what it asks of the database, whatever PostgreSQL makes of the statement: with the values
or without, and whatever it believes of how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
import pytest
from services.booking.tests.factories import BASE, NOW, unique

from creneau_booking.app import create_catalog
from creneau_booking.storage.finding.soonest import bounds
from creneau_booking.storage.finding.soonest.conditions import Sought
from creneau_booking.storage.finding.soonest.search import SoonestSearch
from creneau_booking.storage.slots.table import SlotTable
from creneau_shared.clock import FixedClock
from creneau_shared.fhir.rest.searching import KNOWN_TYPES
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import NearValue
from creneau_shared.fhir.search.sql import SearchScope

AGENDAS, EACH = 2_000, 20
"""agendas of one kind, and slots of each, two a day; every tenth agenda is of a rare speciality"""
FEW = AGENDAS // 10
LATER = NOW + timedelta(days=5)
HERE = NearValue(48.0, 2.0, 60_000.0)
COMMON = Sought(NOW, terms=(("specialty=common",),), specialties=("common",))
RARE = replace(COMMON, terms=(("specialty=rare",),), specialties=("rare",))


@pytest.fixture(scope="module", params=["VACUUM ANALYZE", "ANALYZE"], ids=["vacuumed", "written of late"])
async def country(
    request: pytest.FixtureRequest, postgres_server: Any, template: str
) -> AsyncIterator[asyncpg.Connection]:
    """All of them within some thirty kilometres, their first slot on the first day."""
    url = postgres_server.create_database(unique("booking_country"), template=template)
    connection = await asyncpg.connect(url, server_settings={"jit": "off", "timezone": "UTC"})
    for statement in (
        "SET session_replication_role = replica",
        "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'c' || n, 1, now(), '{}', '{}'"
        f" FROM generate_series(1, {AGENDAS}) AS n",
        "INSERT INTO agenda (schedule_key, open, slot_length_max) SELECT key, true, '20 min' FROM schedule",
        "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms) SELECT key, 'x', '', '', ARRAY['specialty',"
        " CASE WHEN key % 10 = 0 THEN 'specialty=rare' ELSE 'specialty=common' END] FROM schedule",
        "INSERT INTO found_by SELECT key, schedule_key, terms, 48 + hashint8(key) % 250 / 1000.0,"
        " 2 + hashint8(key + 1) % 250 / 1000.0 FROM slot_kind",
        "INSERT INTO found_in SELECT s, found_cell(latitude, longitude), schedule_key, kind_key FROM found_by,"
        " LATERAL (VALUES (''), (substr(terms[2], 11))) AS said (s)",
        'INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)'
        " SELECT gen_random_uuid(), at, at + interval '20 min', schedule_key, key, at, 1, 'free', 'free' FROM slot_kind,"
        f" generate_series(0, {EACH - 1}) AS n, LATERAL (SELECT timestamptz '{NOW.isoformat()}' + n / 2 * interval '1 day'"
        " + (1 + n % 2) * interval '1 hour') AS t (at)",
        "INSERT INTO first_free SELECT schedule_key, kind_key, min(start) FROM slot GROUP BY 1, 2",
        request.param,
    ):
        await connection.execute(statement)
    yield connection
    await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


async def rows_read(connection: asyncpg.Connection, sought: Sought, *, generic: bool) -> Counter[str]:
    """Of each table (of slots as one), what a first page of twenty reads."""
    asked: list[Any] = []
    connection.add_query_logger(asked.append)
    request = parse_search(
        "Slot", [("status", "free")], known_types=KNOWN_TYPES, now=NOW, base_url=BASE, strict=True
    )
    catalog = create_catalog().with_table(SlotTable(FixedClock(NOW)))
    search = SoonestSearch(
        connection, catalog, SearchScope({}), request.conditions, None, sought, now=NOW, read_max=100_000
    )
    page = await search.page(20, None)
    connection.remove_query_logger(asked.append)
    assert len(page.found) == 20
    read: Counter[str] = Counter()
    await connection.execute(f"SET plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    for one in asked:
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {one.query}", *one.args)
        for node in nodes(orjson.loads(explained)[0]["Plan"]):
            name = (
                "slot"
                if node.get("Relation Name", "").startswith("slot_20")
                else node.get("Relation Name", "")
            )
            passed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read[name] += round((node["Actual Rows"] + passed) * node["Actual Loops"])
    await connection.execute("RESET plan_cache_mode")
    return read


WAYS: dict[str, tuple[Sought, dict[str, int], dict[str, int]]] = {
    "those of a rare speciality": (RARE, {}, {"first_free": FEW, "found_by": FEW + 48, "slot": 100}),
    # Of each the first from then on; then what is shown.
    "of a rare speciality, from a later day on": (
        replace(RARE, start=LATER), {}, {"first_free": FEW, "found_by": FEW + 48, "slot": FEW + 100},
    ),
    "of a common one, from a later day on": (
        replace(COMMON, start=LATER),
        {"GATHERED_MAX": 300, "AT_AN_INSTANT_MAX": 300},
        {"first_free": 0, "found_in": 301 + 100, "found_by": 200, "slot": 301 + 200},
    ),
    "nearest first": (
        replace(COMMON, near=HERE, by_distance=True),
        {"GATHERED_MAX": 300},
        {"first_free": 400, "found_by": 600, "found_in": 301, "slot": 100},
    ),
    "nearest first, from a later day on": (
        replace(COMMON, near=HERE, by_distance=True, start=LATER),
        {"GATHERED_MAX": 300},
        {"first_free": 400, "found_by": 600, "found_in": 301, "slot": 500},
    ),
}  # fmt: skip


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_page_reads_what_it_looks_at(
    country: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, way: str, generic: bool
) -> None:
    """Never all first free starts, all kinds or all slots of everybody, of which a planner thinks that this is least."""
    sought, values, most = WAYS[way]
    for name, value in values.items():
        monkeypatch.setattr(bounds, name, value)
    read = await rows_read(country, sought, generic=generic)
    assert {name: read[name] for name in most if read[name] > most[name]} == {}
