"""Reads that come together are answered together: each by what was committed before it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.storage.gathering import TOGETHER_MAX, GatheredReads
from creneau_shared.fhir.storage.store import Stored

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CONNECTION = cast(Connection, object())


class Shelf:
    """A store whose statements wait until they are let through."""

    def __init__(self, *ids: str) -> None:
        self.held = {id_: Stored("Location", id_, 1, NOW, b"{}") for id_ in ids}
        self.statements: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.error: Exception | None = None

    async def read_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        self.statements.append(sorted(ids))
        self.asked.set()
        found = {id_: self.held[id_] for id_ in ids if id_ in self.held}
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return found


class Pool:
    """The part of `Database` that is used, with a connection that takes a moment to get and to give back."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        await asyncio.sleep(0)
        yield CONNECTION
        await asyncio.sleep(0)


def reads_of(shelf: Shelf) -> GatheredReads:
    return GatheredReads(cast(Database, Pool()), shelf)


async def test_reads_of_one_moment_share_a_statement() -> None:
    shelf = Shelf("a", "b")
    reads = reads_of(shelf)
    answers = await asyncio.gather(*(reads.read(id_) for id_ in ("a", "b", "a", "none")))
    assert [answer.id if answer else None for answer in answers] == ["a", "b", "a", None]
    assert shelf.statements == [["a", "b", "none"]]


async def test_a_read_never_joins_a_statement_that_was_sent_before_it() -> None:
    """Else it would not see what was committed in between."""
    shelf = Shelf()
    reads = reads_of(shelf)
    shelf.open.clear()
    early = asyncio.create_task(reads.read("a"))
    await shelf.asked.wait()
    shelf.held["a"] = Stored("Location", "a", 1, NOW, b"{}")
    late = asyncio.create_task(reads.read("a"))
    await asyncio.sleep(0)
    shelf.open.set()
    assert await early is None
    assert (await late) is not None
    assert shelf.statements == [["a"], ["a"]]


async def test_nobody_is_forgotten_while_the_connection_is_given_back() -> None:
    """One read after the other, each beginning as the one before is just being put away."""
    shelf = Shelf("a")
    reads = reads_of(shelf)
    async with asyncio.timeout(60):
        for _ in range(200):
            assert await reads.read("a") is not None


async def test_a_failure_is_told_to_all_who_shared_it_and_to_nobody_else() -> None:
    shelf = Shelf("a")
    reads = reads_of(shelf)
    shelf.error = ConnectionError("gone")
    answers = await asyncio.gather(reads.read("a"), reads.read("b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
    shelf.error = None
    assert await reads.read("a") is not None


async def test_whoever_gives_up_takes_nobody_along() -> None:
    shelf = Shelf("a")
    reads = reads_of(shelf)
    shelf.open.clear()
    impatient = asyncio.create_task(reads.read("a"))
    patient = asyncio.create_task(reads.read("a"))
    await shelf.asked.wait()
    impatient.cancel()
    await asyncio.sleep(0)
    shelf.open.set()
    assert (await patient) is not None
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_crowd_is_split() -> None:
    ids = [f"id-{n}" for n in range(TOGETHER_MAX + 50)]
    shelf = Shelf(*ids)
    reads = reads_of(shelf)
    answers: list[Any] = await asyncio.gather(*(reads.read(id_) for id_ in ids))
    assert [answer.id for answer in answers] == ids
    assert [len(statement) for statement in shelf.statements] == [TOGETHER_MAX, 50]
