"""Pages: complete, in order, both ways, and steady while others write."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from shared.tests.search.graph import appointment
from shared.tests.search.store import Store, insert

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search import page_bytes
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.page_bytes import within
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.search.sql import EVERYTHING, SearchScope

_START = datetime(2026, 12, 1, 8, tzinfo=UTC)


def made(n: int, **elements: Any) -> dict[str, Any]:
    """Appointment `a<n>`; every fifth has no start, several share each start."""
    start = _START + timedelta(hours=n % 7)
    made = appointment(f"a{n:03}", "booked", start.isoformat(), start.isoformat(), "Patient/1", **elements)
    made["meta"]["lastUpdated"] = (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=n % 11)).isoformat()
    if n % 5 == 0:
        del made["start"], made["end"]
    if n % 4:
        made |= {"comment": f"mot {n % 3}", "description": f"Mot {n % 6}"}
        made["requestedPeriod"] = [{"start": f"2026-12-{1 + n % 3:02}"}, {"start": f"2026-12-{1 + n % 7:02}"}]
    return made


async def walk(store: Store, query: str) -> list[list[str]]:
    """The ids of all pages, from the first to the last."""
    pages, cursor = [], None
    while True:
        result = await store.result(query, cursor=cursor)
        pages.append([row.id for row in result.matches])
        assert (result.previous_cursor is None) == (cursor is None)
        cursor = result.next_cursor
        if cursor is None:
            return pages


SORTS = [
    "",
    "&_sort=date",
    "&_sort=-date",
    "&_sort=_lastUpdated",
    "&_sort=-priority,date",
    "&_sort=status,-_id",
    "&_sort=description",
    "&_sort=-description,priority",
    "&_sort=requested-period",
    "&_sort=-requested-period,-description",
]


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_are_the_whole_in_order(empty: Store, sort: str) -> None:
    """Ties, absent values and both directions: the pages together are the unpaged answer."""
    await insert(empty.connection, [made(n, priority=n % 3) for n in range(1, 40)])
    whole = [row.id for row in (await empty.result(f"Appointment?_count=1000{sort}")).matches]
    pages = await walk(empty, f"Appointment?_count=7{sort}")
    assert [id_ for page in pages for id_ in page] == whole
    assert [len(page) for page in pages] == [7, 7, 7, 7, 7, 4]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    "narrowed", ["&patient=Patient/1", "&date=ge2026-12-01T10:00Z", "&date:missing=true"]
)
async def test_walking_and_sorting_agree(empty: Store, sort: str, narrowed: str) -> None:
    """Few matches are sorted as a whole, many are read along an index: the same pages, both ways."""
    await insert(empty.connection, [made(n, priority=n % 3) for n in range(1, 40)])
    query = f"Appointment?_count=6{narrowed}{sort}"
    walks = []
    for most in (0, 1_000):
        limits = Limits(sorted_whole_max=most)
        pages, cursor = [], None
        for direction in ["next"] * 8 + ["previous"] * 8:
            result = await empty.result(query, cursor=cursor, limits=limits)
            pages.append([row.id for row in result.matches])
            following = result.next_cursor if direction == "next" else result.previous_cursor
            cursor = following or cursor
        walks.append(pages)
    assert walks[0] == walks[1]


@pytest.mark.parametrize("sort", SORTS)
async def test_back_to_the_first_page(empty: Store, sort: str) -> None:
    """`previous` leads through the same pages, in the same order."""
    await insert(empty.connection, [made(n, priority=n % 3) for n in range(1, 24)])
    query = f"Appointment?_count=5{sort}"
    pages, cursor = [], None
    for _ in range(5):
        result = await empty.result(query, cursor=cursor)
        pages.append([row.id for row in result.matches])
        cursor = result.next_cursor
    for page in reversed(pages[:-1]):
        result = await empty.result(query, cursor=result.previous_cursor)
        assert [row.id for row in result.matches] == page
        assert result.next_cursor is not None
    assert result.previous_cursor is None


@pytest.mark.parametrize("most", [0, 1_000])
@pytest.mark.parametrize("sort", SORTS)
async def test_a_page_ends_when_it_is_full(
    empty: Store, sort: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many matches may be on it: the pages are as large as they may be, complete, in order and both ways."""
    await insert(empty.connection, [made(n, priority=n % 3) for n in range(1, 40)])
    query, limits = f"Appointment?_count=1000{sort}", Limits(sorted_whole_max=most)
    whole = await empty.result(query, limits=limits)
    room = 5 * max(len(row.content) for row in whole.matches)
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", room)
    pages: list[SearchResult] = []
    cursor = None
    while not pages or cursor:
        pages.append(await empty.result(query, cursor=cursor, limits=limits))
        cursor = pages[-1].next_cursor
    assert [row.id for page in pages for row in page.matches] == [row.id for row in whole.matches]
    for page in pages[:-1]:
        *before, last = [len(row.content) for row in page.matches]
        assert sum(before) < room <= sum(before) + last
    back = await empty.result(query, cursor=pages[-1].previous_cursor, limits=limits)
    assert [row.id for row in back.matches] == [row.id for row in whole.matches][
        -len(pages[-1].matches) - len(back.matches) : -len(pages[-1].matches)
    ]
    assert len(back.matches) < 10


async def test_no_more_is_read_than_a_page_takes(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await insert(empty.connection, [made(n) for n in range(1, 40)])
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", 1)
    rows = await empty.connection.fetch(
        within("SELECT id, content FROM appointment ORDER BY id LIMIT 1000", "id, content")
    )
    assert [row["id"] for row in rows] == ["a001", "a002"]


@pytest.mark.parametrize("sort", SORTS)
async def test_concurrent_writes(empty: Store, sort: str) -> None:
    """While rows come, change and go, every row that stays the same is seen exactly once."""
    steady = [made(n, priority=n % 3) for n in range(0, 60, 2)]
    restless = [made(n, priority=n % 3) for n in range(1, 60, 2)]
    await insert(empty.connection, [*steady, *restless])
    writer = await asyncpg.connect(empty.url)
    chance = random.Random(sort)
    seen: list[str] = []
    cursor, added = None, 100
    while True:
        result = await empty.result(f"Appointment?_count=4{sort}", cursor=cursor)
        seen += [row.id for row in result.matches]
        cursor = result.next_cursor
        if cursor is None:
            break
        await insert(writer, [made(added, priority=added % 3), made(added + 1)])
        added += 2
        victim = chance.choice(restless)["id"]
        await writer.execute("UPDATE appointment SET last_updated = now(), version = 2 WHERE id = $1", victim)
        await writer.execute(
            "UPDATE appointment_date SET low = low + interval '3 hours' "
            "WHERE key = (SELECT key FROM appointment WHERE id = $1)",
            victim,
        )
        await writer.execute(
            "UPDATE appointment SET deleted = true, content = NULL, terms = '{}' WHERE id = $1",
            chance.choice(restless)["id"],
        )
    await writer.close()
    unchanged = [row["id"] for row in steady]
    assert sorted(id_ for id_ in seen if id_ in unchanged) == sorted(unchanged)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("most", [0, 1_000])
async def test_the_last_page(empty: Store, sort: str, most: int) -> None:
    """`last` leads to the end at once, and `previous` back from there; nothing follows the end."""
    await insert(empty.connection, [made(n, priority=n % 3) for n in range(1, 24)])
    query, limits = f"Appointment?_count=5{sort}", Limits(sorted_whole_max=most)
    whole = [row.id for row in (await empty.result(f"Appointment?_count=100{sort}")).matches]
    first = await empty.result(query, limits=limits)
    last = await empty.result(query, cursor=first.last_cursor, limits=limits)
    assert [row.id for row in last.matches] == whole[-5:]
    assert (last.next_cursor, last.last_cursor, last.total) == (None, None, 23)
    before = await empty.result(query, cursor=last.previous_cursor, limits=limits)
    assert [row.id for row in before.matches] == whole[-10:-5]
    assert before.last_cursor is not None
    assert (await empty.result("Appointment?_count=23")).last_cursor is None


async def test_near_pages_by_distance(empty: Store) -> None:
    """Without _sort, the nearest first, over all pages; each match tells its distance."""
    places = [
        {"resourceType": "Location", "id": f"l{n}", "position": {"latitude": 48 + n * 0.01, "longitude": 2}}
        for n in (3, 1, 4, 2, 0)
    ]
    await insert(empty.connection, places)
    assert await walk(empty, "Location?near=48|2|10|km&_count=2") == [["l0", "l1"], ["l2", "l3"], ["l4"]]
    result = await empty.result("Location?near=48|2|10|km")
    assert [round(row.distance_m or 0, -2) for row in result.matches] == [0, 1100, 2200, 3300, 4500]


async def test_totals(empty: Store) -> None:
    """Exact where it is cheap or asked for; otherwise left out, or estimated when asked for."""
    await insert(empty.connection, [made(n) for n in range(50)])
    few = Limits(total_counted_max=20)
    assert (await empty.result("Appointment?_count=5")).total == 50
    assert (await empty.result("Appointment?_count=100&_total=none")).total is None
    assert (await empty.result("Appointment?_count=5", limits=few)).total is None
    assert (await empty.result("Appointment?_count=5&_total=accurate", limits=few)).total == 50
    await empty.connection.execute("ANALYZE")
    assert (await empty.result("Appointment?_count=5&_total=estimate", limits=few)).total in range(21, 80)
    counted = await empty.result("Appointment?_count=0", limits=few)
    assert (counted.total, counted.matches) == (50, ())
    page = await empty.result("Appointment?_count=5")
    assert (await empty.result("Appointment?_count=5", cursor=page.next_cursor)).total == 50


async def test_a_cursor_is_good_for_its_own_query_only(empty: Store) -> None:
    """Neither another query, nor another type, nor a changed character."""
    await insert(empty.connection, [made(n) for n in range(9)])
    cursor = (await empty.result("Appointment?_count=5")).next_cursor
    assert cursor is not None
    assert len((await empty.result("Appointment?_count=2", cursor=cursor)).matches) == 2
    for query in ("Appointment?status=booked", "Appointment?_sort=date", "Patient?_count=5"):
        with pytest.raises(BadRequest):
            await empty.result(query, cursor=cursor)
    middle = len(cursor) // 2
    swapped = "A" if cursor[middle] != "A" else "B"
    for broken in (cursor[:middle] + swapped + cursor[middle + 1 :], cursor[:-4], "é", "x", "===="):
        with pytest.raises(BadRequest):
            await empty.result("Appointment?_count=5", cursor=broken)


async def test_a_cursor_is_good_for_whoever_sees_the_same(empty: Store) -> None:
    """It holds the total of its first page."""
    await insert(empty.connection, [made(n) for n in range(9)])
    ours = SearchScope({"Appointment": ("status=booked", "status=pending", "status=cancelled")})
    cursor = (await empty.result("Appointment?_count=1", scope=ours)).next_cursor
    assert cursor is not None
    assert (await empty.result("Appointment?_count=1", cursor=cursor, scope=ours)).matches
    for other in (SearchScope({"Appointment": ("status=booked",)}), EVERYTHING):
        with pytest.raises(BadRequest):
            await empty.result("Appointment?_count=1", cursor=cursor, scope=other)


async def test_beyond_the_last_row(empty: Store) -> None:
    """A page whose rows are gone meanwhile is empty, not an error."""
    await insert(empty.connection, [made(n) for n in range(1, 7)])
    cursor = (await empty.result("Appointment?_count=4")).next_cursor
    await empty.connection.execute("DELETE FROM appointment")
    result = await empty.result("Appointment?_count=4", cursor=cursor)
    assert (result.matches, result.next_cursor) == ((), None)
