"""Free slots found agenda by agenda are those, and in the order, that one statement over all slots would find; and what
that costs is bounded by what is asked, not by how much there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import pytest
from services.booking.tests.factories import BASE, NOW
from services.booking.tests.plans import nodes, plan_of
from services.booking.tests.recorder import Recorder

from creneau_booking.app import create_catalog
from creneau_booking.domain.access_rules import Birth
from creneau_booking.storage.availability import agenda_walk
from creneau_booking.storage.finding.candidates import Candidate, Consumer
from creneau_booking.storage.finding.soonest.conditions import Sought
from creneau_booking.storage.finding.soonest.search import SoonestSearch
from creneau_booking.storage.mapping.visibility import VISIBILITY_TERM
from creneau_booking.storage.slots.table import SlotTable
from creneau_shared.clock import FixedClock
from creneau_shared.fhir.rest.searching import KNOWN_TYPES
from creneau_shared.fhir.search.cursor import CursorCodec
from creneau_shared.fhir.search.execute import SearchResult, search
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import EVERYTHING, Catalog, SearchScope
from creneau_shared.security.rights import OPEN, OWNER

CODEC = CursorCodec("secret")
PUBLIC = SearchScope({"Slot": (OPEN,)})
PRACTICE = SearchScope({"Slot": (OPEN, f"{OWNER}o1")})
AGENDAS = 70
PAGE = 12
CONSUMER = Consumer(
    NOW,
    (
        Candidate(
            Birth(date(1985, 4, 2), date(1985, 4, 2)),
            full=("w4",),
            elsewhere=((NOW + timedelta(hours=10), NOW + timedelta(hours=30)),),
        ),
        Candidate(None),
    ),
)


class OneStatement(SlotTable):
    """Slot searched as any other type is."""

    async def steps(self, *_: Any) -> None:
        return None


def request_for(query: str, **members: str) -> SearchRequest:
    pairs = parse_qsl(query) + list(members.items())
    return parse_search("Slot", pairs, known_types=KNOWN_TYPES, now=NOW, base_url=BASE, strict=True)


def catalog_of(kind: type[SlotTable], consumer: Consumer | None = None) -> Catalog:
    return create_catalog().with_table(kind(FixedClock(NOW), consumer=consumer))


@pytest.fixture(scope="module")
async def town(postgres_server: Any, template: str) -> AsyncIterator[asyncpg.Connection]:
    """70 agendas with three kinds of slots each, over five days: many begin at the same moment, many are taken, some
    agendas are closed, end, or are for professionals."""
    url = postgres_server.create_database("booking_walked", template=template)
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    for statement in _fill():
        await connection.execute(statement)
    yield connection
    await connection.close()


def _fill() -> Iterator[str]:
    numbers = f"generate_series(1, {AGENDAS}) AS n"
    begin = f"timestamptz '{NOW.isoformat()}'"
    yield (
        "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'w' || n, 1, now(), '{}',"
        f" ARRAY['actor=Practitioner/p' || n % 90, 'actor=Location/l' || n % 20, '{OWNER}o' || n % 3] FROM {numbers}"
    )
    yield (
        "INSERT INTO agenda (schedule_key, open, horizon_end, minimum_notice_min, age_from_months)"
        f" SELECT key, key % 9 <> 0, CASE WHEN key % 5 = 0 THEN {begin} + interval '3 days' ELSE 'infinity' END,"
        " CASE WHEN key % 7 = 0 THEN 2000 END, CASE WHEN key % 11 = 0 THEN 216 END FROM schedule"
    )
    yield (
        "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms) SELECT key, decode(md5(key || '-' || n), 'hex'),"
        " '', '', ARRAY['specialty', 'specialty=s' || (key + n) % 7, 'specialty=u:s|s' || (key + n) % 7] || CASE"
        f" WHEN (key + n) % 6 = 0 THEN ARRAY['{VISIBILITY_TERM}', '{VISIBILITY_TERM}PRO'] ELSE '{{}}' END"
        " FROM schedule, generate_series(1, 3) AS n"
    )
    yield (
        'INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)'
        " SELECT md5(k.key || '-' || n)::uuid, at, at + interval '20 min', k.schedule_key, k.key, at, 1,"
        " (CASE WHEN (k.key * 7 + n * 3) % 10 < 6 THEN 'busy' ELSE 'free' END)::slot_status, 'free'"
        f" FROM slot_kind k, generate_series(0, 14) AS n, LATERAL (SELECT {begin}"
        " + n / 3 * interval '1 day' + (n % 3 + k.key % 2) * interval '2 hours') AS t (at)"
    )
    yield "VACUUM ANALYZE"


@dataclass
class Everywhere:
    """What a way of looking is told to do."""

    name: str
    set: dict[str, Any] = field(default_factory=dict)


WAYS = [
    Everywhere("few agendas", {"WINDOWS_FROM": 10_000, "MANY": "50000"}),
    Everywhere("heads first", {"WINDOWS_FROM": 1, "MANY": "50000"}),
    Everywhere("as they come", {"WINDOWS_FROM": 1, "MANY": "1"}),
    Everywhere(
        "as they come, and too few of them", {"WINDOWS_FROM": 1, "MANY": "1", "READ_AS_THEY_COME": 40}
    ),
    Everywhere("more than can be walked", {"WINDOWS_FROM": 1, "MANY": "1", "KINDS_MAX": 1, "READ_AS_THEY_COME": 40}),
    Everywhere("as it is"),
]  # fmt: skip
SINCE = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
UNTIL = (NOW + timedelta(days=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
IN_A_MONTH = (NOW + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
QUERIES = [
    f"specialty=s3&status=free&start=ge{SINCE}",
    f"specialty=u:s|s3&status=free&start=gt{SINCE}&end=le{UNTIL}",
    f"specialty=s1,s2&status=free&bookable=true&start=ge{SINCE}&start=lt{UNTIL}",
    f"specialty=s2,s4&status=free&bookable=whole&start=ge{SINCE}",
    f"specialty:not=s1&status=free&start=ge{SINCE}&_sort=-start",
    f"schedule.actor:Practitioner=p7,p8&status=free&start=ge{SINCE}",
    f"schedule.actor:Location=l3&specialty=s4&status=free&start=ge{SINCE}&start=le{UNTIL}",
    f"schedule=w1,w2,w3,w4,w9&status=free&start=ge{SINCE}",
    f"schedule=w1&status=free&start=ge{SINCE}",
    f"schedule=w24&specialty:not=s1&status=free&bookable=true&_sort=-start&start=lt{UNTIL}",
    "specialty=s5&status=free",
    f"_filter=specialty eq s1 or specialty eq s6&status=free&start=ge{SINCE}",
    f"specialty=none&status=free&start=ge{SINCE}",
    f"specialty=s3&status=free&start=ge{UNTIL}&start=lt{SINCE}",
]


async def look(
    connection: Any, catalog: Catalog, scope: SearchScope, query: str, **members: str
) -> SearchResult:
    request = request_for(query, **members)
    return await search(connection, catalog, request, cursor_codec=CODEC, scope=scope)


Link = Callable[[SearchResult], str | None]


async def along(
    connection: Any,
    catalog: Catalog,
    scope: SearchScope,
    query: str,
    link: Link,
    *,
    at: str | None,
    count: int,
) -> list[list[str]]:
    """The ids of each page from a cursor on, along `link`."""
    found = []
    while True:
        cursor = {} if at is None else {"_cursor": at}
        result = await look(connection, catalog, scope, query, _count=str(count), **cursor)
        found.append([row.id for row in result.matches])
        at = link(result)
        if at is None:
            return found


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("query", QUERIES)
async def test_the_same_slots_in_the_same_order(
    town: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, query: str, way: Everywhere
) -> None:
    """Page by page to the end, and back from it, as the public, a practice, and a patient with two children see them."""
    for name, value in way.set.items():
        monkeypatch.setattr(agenda_walk, name, value)
    for scope, consumer in ((EVERYTHING, None), (PUBLIC, CONSUMER), (PRACTICE, None)):
        one, walked = catalog_of(OneStatement, consumer), catalog_of(SlotTable, consumer)
        whole = await along(town, one, scope, query, following, at=None, count=1000)
        ids = [id_ for page in whole for id_ in page]
        forward = await along(town, walked, scope, query, following, at=None, count=PAGE)
        assert [id_ for page in forward for id_ in page] == ids
        first = await look(town, walked, scope, query, _count=str(PAGE))
        assert first.total == len(ids) or (first.total is None and len(ids) > PAGE)
        if first.last_cursor is not None:
            back = await along(town, walked, scope, query, preceding, at=first.last_cursor, count=PAGE)
            assert [id_ for page in reversed(back) for id_ in page] == ids


def following(result: SearchResult) -> str | None:
    return result.next_cursor


def preceding(result: SearchResult) -> str | None:
    return result.previous_cursor


async def test_what_is_found_is_not_nothing(town: asyncpg.Connection) -> None:
    """What the comparison compares."""
    catalog = catalog_of(SlotTable)
    counts = {
        query: len((await look(town, catalog, PUBLIC, query, _count="1000")).matches) for query in QUERIES
    }
    assert min(count for query, count in counts.items() if query not in QUERIES[-2:]) > PAGE, counts


async def test_the_total_is_given_where_it_costs_little(
    town: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact, or none; `_total=accurate` counts whatever it costs."""
    query, catalog = QUERIES[4], catalog_of(SlotTable)
    whole = await look(town, catalog, PUBLIC, query, _count="1000")
    assert (await look(town, catalog, PUBLIC, query, _count="5")).total == len(whole.matches)
    monkeypatch.setattr(agenda_walk, "ROWS_COUNTED_MAX", 20)
    assert (await look(town, catalog, PUBLIC, query, _count="5")).total is None
    accurate = await look(town, catalog, PUBLIC, query, _count="5", _total="accurate")
    assert accurate.total == len(whole.matches)


# -- what it costs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def region(postgres_server: Any, template: str) -> AsyncIterator[asyncpg.Connection]:
    """500 agendas with 200,000 slots over forty days, of ten specialties, nine in ten of them free; the last specialty, of
    two agendas, is as good as booked up."""
    url = postgres_server.create_database("booking_region", template=template)
    connection = await asyncpg.connect(url, server_settings={"jit": "off", "timezone": "UTC"})
    begin = f"timestamptz '{NOW.isoformat()}'"
    for statement in (
        "INSERT INTO schedule (id, version, last_updated, content, terms) SELECT 'r' || n, 1, now(), '{}',"
        " ARRAY['actor=Practitioner/p' || n] FROM generate_series(1, 500) AS n",
        "INSERT INTO agenda (schedule_key, open) SELECT key, true FROM schedule",
        "INSERT INTO slot_kind (schedule_key, digest, members, meta, terms) SELECT key, decode(md5(key::text), 'hex'), '', '',"
        " ARRAY['specialty=all', CASE WHEN key % 250 = 0 THEN 'specialty=rare' ELSE 'specialty=s' || key % 10 END]"
        " FROM schedule",
        'INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)'
        " SELECT gen_random_uuid(), at, at + interval '15 min', k.schedule_key, k.key, at, 1,"
        " (CASE WHEN n % 10 = 0 OR k.key % 250 = 0 AND n < 395 THEN 'busy' ELSE 'free' END)::slot_status, 'free'"
        f" FROM slot_kind k, generate_series(0, 399) AS n, LATERAL (SELECT {begin} + n / 10 * interval '1 day'"
        " + (n % 10 + k.key % 5) * interval '15 min') AS t (at)",
        "VACUUM ANALYZE",
    ):
        await connection.execute(statement)
    yield connection
    await connection.close()


async def price(connection: asyncpg.Connection, query: str, *, generic: bool) -> tuple[int, int, list[str]]:
    """What a search costs, as in `price_of`."""
    recorder = Recorder(connection)
    request = request_for(query, _total="none")
    await search(recorder, catalog_of(SlotTable), request, cursor_codec=CODEC, scope=PUBLIC)  # type: ignore[arg-type]
    return await price_of(recorder, generic=generic)


async def price_of(recorder: Recorder, *, generic: bool) -> tuple[int, int, list[str]]:
    """Of what was asked: slots that are read, pages of the database that are touched, and the parts of slot that are read
    from end to end."""
    read, pages_touched, whole = 0, 0, []
    for sql, values in recorder.asked:
        plan = await plan_of(recorder.connection, sql, values, generic=generic)
        pages_touched += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        for node in nodes(plan):
            if not node.get("Relation Name", "").startswith("slot_20"):
                continue
            rows = round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
            read += rows
            whole += [node["Relation Name"]] if rows and node["Node Type"] == "Seq Scan" else []
    return read, pages_touched, whole


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
@pytest.mark.parametrize(
    ("query", "slots_max", "pages_max"),
    [
        # Of one agenda, named by itself or by whose it is: the page, and what is taken before it.
        ("schedule=r7&status=free&start=ge{since}&_count=20", 26, 160),
        ("schedule.actor:Practitioner=p7&status=free&start=ge{since}&_count=20", 26, 160),
        # Of fifty: what the page takes of each.
        ("specialty=s7&status=free&start=ge{since}&_count=20", 50 * 26, 3_000),
        # Of a hundred: those that come next, which do not fit; then a head each, and what the page takes of twenty-one.
        ("specialty=s7,s8&status=free&start=ge{since}&_count=20", 700 + 100 * 2 + 21 * 26, 3_000),
        # Of all: those that begin at the moment where the page ends, whosever they are.
        ("specialty=all&status=free&start=ge{since}&_count=20", 700, 2_500),
        # Of two that are as good as booked up: all that they have.
        ("specialty=rare&status=free&start=ge{since}&_count=20", 2 * 400, 1_200),
    ],
)
async def test_a_page_reads_what_it_shows_and_little_more(
    region: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    slots_max: int,
    pages_max: int,
    generic: bool,
) -> None:
    """Whatever PostgreSQL makes of it, with the values or without: never all of the 200,000 slots."""
    monkeypatch.setattr(agenda_walk, "READ_AS_THEY_COME", 500)
    read, touched, whole = await price(region, query.format(since=SINCE), generic=generic)
    assert whole == []
    assert (read <= slots_max, touched <= pages_max) == (True, True), (read, touched)


async def test_what_is_planned_once_reads_a_page_of_one_agenda(region: asyncpg.Connection) -> None:
    """Whatever is asked beside: PostgreSQL takes each further condition for one that hardly any slot fulfils."""
    query = f"schedule=r7&status=free&bookable=true&start=ge{SINCE}&end=le{IN_A_MONTH}&_count=20"
    read, touched, whole = await price(region, query, generic=True)
    assert whole == []
    assert (read <= 26, touched <= 160) == (True, True), (read, touched)


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
async def test_the_next_of_each_agenda_are_read_and_no_more(
    region: asyncpg.Connection, generic: bool
) -> None:
    """`$soonest` with several slots of each agenda (`per-agenda`): not all that each has."""
    recorder, catalog = Recorder(region), catalog_of(SlotTable)
    free = request_for("status=free").conditions
    sought = Sought(NOW, terms=(("specialty=s7",),), specialties=("s7",))
    search_ = SoonestSearch(
        recorder,  # type: ignore[arg-type]
        catalog,
        PUBLIC,
        free,
        None,
        sought,
        now=NOW,
        read_max=100_000,
        counting=False,
    )
    firsts = (await search_.page(20, None)).found
    recorder.asked.clear()
    assert len(await search_.following(firsts, 3)) == 20 * 3
    read, touched, whole = await price_of(recorder, generic=generic)
    assert whole == []
    assert (read <= 20 * 6, touched <= 3_000) == (True, True), (read, touched)


async def test_the_text_is_the_same_whoever_asks_for_whom_and_when(region: asyncpg.Connection) -> None:
    """What is prepared once is used again: neither the clock nor the agendas nor a person stand in it."""
    texts = []
    for days, whom, birth in ((0, "p1", 1985), (3, "p2", 2015)):
        now = NOW + timedelta(days=days)
        day = date(birth, 1, 1)
        visit = (now + timedelta(hours=birth % 10 + 1), now + timedelta(hours=12))
        consumer = Consumer(
            now, (Candidate(Birth(day, day), full=(f"r{birth}",), elsewhere=(visit,) * (days + 1)),)
        )
        recorder = Recorder(region)
        query = (
            f"schedule.actor:Practitioner={whom}&status=free&bookable=true&start=ge{now:%Y-%m-%dT%H:%M:%SZ}"
        )
        catalog = create_catalog().with_table(SlotTable(consumer=consumer, besides=f"a{days}"))
        await search(recorder, catalog, request_for(query, _count="2"), cursor_codec=CODEC)  # type: ignore[arg-type]
        texts.append([sql for sql, _ in recorder.asked])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 3


async def test_slots_that_are_named_are_planned_once(region: asyncpg.Connection) -> None:
    """Every month has to be looked into, whichever they are: with their ids in sight, that would be planned at each call."""
    recorder, catalog = Recorder(region), catalog_of(SlotTable)
    ids = [row["id"] for row in await region.fetch("SELECT id::text FROM slot LIMIT 8")]
    for id_ in ids:
        result = await look(recorder, catalog, PUBLIC, f"_id={id_}", _total="none")
        assert [row.id for row in result.matches] == [id_]
    (text,) = {sql for sql, _ in recorder.asked}
    plans = await region.fetch(
        "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement = $1", text
    )
    assert [tuple(plan) for plan in plans] == [(5, 3)]


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
async def test_slots_that_are_named_are_found_by_their_names(town: asyncpg.Connection, generic: bool) -> None:
    """Not by a walk through everybody's in the order of time, however few they are."""
    found = await look(Recorder(town), catalog_of(SlotTable), PUBLIC, "status=free&_sort=-start", _count="1")
    [late] = found.matches
    recorder = Recorder(town)
    result = await look(recorder, catalog_of(SlotTable), PUBLIC, f"_id={late.id}", _total="none")
    assert len(result.matches) == 1
    read, touched, _ = await price_of(recorder, generic=generic)
    assert (read, touched <= 200) == (1, True), (read, touched)
