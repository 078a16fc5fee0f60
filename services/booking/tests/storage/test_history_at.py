"""`_at`: the versions that were current at some moment of a period, against a model of what that means."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

import pytest
from services.booking.tests.factories import BASE, NOW, patient, schedule, slot, unique
from services.booking.tests.practice import Practice

from creneau_shared.database.partitions import make_months
from creneau_shared.fhir.rest.history import OLDEST
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import HistoryQuery, Resource, Stored, WriteContext

TICK = timedelta(minutes=1)
MOMENTS = [NOW + n * TICK for n in range(8)]
LIVES = ((0, 2, 4), (1,), (2, -3), (0, -1, 5), (6,), (3, 3, -3))
"""When each resource has a new version, in ticks; below zero: is deleted."""


def context(moment: datetime) -> WriteContext:
    return WriteContext(now=moment, subject="test", issuer="test")


async def live(
    practice: Practice, store: Any, make: Callable[[], Resource]
) -> dict[str, list[tuple[datetime, bool]]]:
    """Write the lives; each resource's versions as (time, whether it is a deletion)."""
    lives = {}
    for life in LIVES:
        resource = make()
        id_ = resource["id"]
        for tick in life:
            async with practice.database.transaction() as connection:
                current = await store.lock(connection, id_)
                moment = MOMENTS[abs(tick)]
                if tick < 0:
                    await store.delete(connection, context(moment), current)
                elif current is None:
                    await store.create(connection, context(moment), resource, id_)
                else:
                    await store.replace(connection, context(moment), current, resource)
        lives[id_] = [(MOMENTS[abs(tick)], tick < 0) for tick in life]
    return lives


def expected(life: list[tuple[datetime, bool]], low: datetime, high: datetime) -> list[int]:
    """The versions of one life within [low, high), the newest first."""
    found = []
    for version, ((began, deleted), (ended, _)) in enumerate(
        pairwise([*life, (NOW + timedelta(days=1), False)]), 1
    ):
        overlaps = began < high and (ended > low or began >= low)
        if overlaps and (not deleted or began >= low):
            found.append(version)
    return found[::-1]


@pytest.mark.parametrize("kind", ["Patient", "Slot"])
async def test_at_gives_what_was_current(fresh: Practice, kind: str) -> None:
    """Type by type and resource by resource, for every period between any two moments, and page by page."""
    agenda = unique("agenda")
    await fresh.put(schedule(agenda, ["Practitioner/1"]))
    if kind == "Slot":
        store: Any = fresh.slots
        lives = await live(fresh, store, lambda: slot(unique("s"), agenda, NOW + timedelta(days=9)))
    else:
        store = GenericStore("Patient", BASE)
        lives = await live(fresh, store, lambda: {**patient(), "id": unique("p")})
    async with fresh.database.connection() as connection:
        for low, high in combinations([m - TICK / 2 for m in MOMENTS] + MOMENTS, 2):
            if low >= high:
                continue
            found: dict[str, list[int]] = {}
            before = None
            while page := await store.history(connection, HistoryQuery(None, None, before, 7, (low, high))):
                for version in page:
                    found.setdefault(version.id, []).append(version.version)
                before = (page[-1].last_updated, page[-1].id, page[-1].version)
            for id_, life in lives.items():
                wanted = expected(life, low, high)
                assert found.get(id_, []) == wanted, (life, low, high)
                own = await store.history(connection, HistoryQuery(id_, None, None, 10, (low, high)))
                assert [version.version for version in own] == wanted


@pytest.mark.parametrize("kind", ["Patient", "Slot"])
@pytest.mark.parametrize("at", [None, (MOMENTS[1], MOMENTS[3])], ids=["all", "at"])
async def test_backward_is_forward_turned_round_and_the_total_is_all(
    fresh: Practice, kind: str, at: tuple[datetime, datetime] | None
) -> None:
    agenda = unique("agenda")
    await fresh.put(schedule(agenda, ["Practitioner/1"]))
    store: Any = fresh.slots if kind == "Slot" else GenericStore("Patient", BASE)
    make = (
        (lambda: slot(unique("s"), agenda, NOW + timedelta(days=9)))
        if kind == "Slot"
        else (lambda: {**patient(), "id": unique("p")})
    )
    await live(fresh, store, make)
    async with fresh.database.connection() as connection:
        whole = await store.history(connection, HistoryQuery(None, None, None, 10_000, at))
        back: list[Stored] = []
        before = OLDEST.before_for(kind)
        while page := await store.history(connection, HistoryQuery(None, None, before, 7, at, backward=True)):
            back = [*page, *back]
            before = (page[0].last_updated, page[0].id, page[0].version)
        assert back == whole
        second = (whole[1].last_updated, whole[1].id, whole[1].version)
        query = HistoryQuery(None, None, second, 1, at)
        assert await store.history_total(connection, query, None) == len(whole) > 2
        assert await store.history_total(connection, query, 1) > 1
        id_ = whole[0].id
        own = HistoryQuery(id_, None, None, 1, at)
        assert await store.history_total(connection, own, 10) == sum(v.id == id_ for v in whole)


async def plan_of(connection: Any, store: Any, query: HistoryQuery) -> str:
    """The plan of the statement that answers a history interaction, small tables read as large ones would be."""
    sql = []

    class Spy:
        async def fetch(self, text: str, *values: Any) -> list[Any]:
            sql.append((text, values))
            return []

    await store.history(Spy(), query)
    ((text, values),) = sql
    await connection.execute("SET LOCAL enable_seqscan = off")
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}", *values))


async def test_at_reads_by_indexes(practice: Practice) -> None:
    """Neither what is current nor what was superseded is read from end to end."""
    query = HistoryQuery(None, None, None, 50, (NOW, NOW + TICK))
    async with practice.database.transaction() as connection:
        plan = await plan_of(connection, GenericStore("Patient", BASE), query)
    assert "Seq Scan" not in plan, plan
    for index in ("ix_patient_last_updated", "resource_history_default_resource_type_last_updated_idx"):
        assert index in plan, plan


@pytest.mark.parametrize("asked", ["since", "at"])
async def test_months_before_what_is_asked_are_not_looked_at(fresh: Practice, asked: str) -> None:
    """A version that was superseded before then cannot be among what is asked for."""
    then = datetime(2091, 3, 15, tzinfo=UTC)
    query = (
        HistoryQuery(None, then, None, 50)
        if asked == "since"
        else HistoryQuery(None, None, None, 50, (then, then + TICK))
    )
    async with fresh.database.transaction() as connection:
        await make_months(connection, "resource_history", then, 1)
        plan = await plan_of(connection, GenericStore("Patient", BASE), query)
    months = set(re.findall(r"resource_history_(\d{4}_\d{2}) ", plan))
    assert months == {"2091_03", "2091_04"}, plan
