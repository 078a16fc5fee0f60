"""Whoever asks for too much is told when to come back, however many processes there are; nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from tests.fixtures.postgres import NewDatabase

from creneau_shared.database.metadata import new_metadata
from creneau_shared.database.pool import Database
from creneau_shared.errors import TooManyRequests
from creneau_shared.limits import leases
from creneau_shared.limits.callers import Counted, Limit
from creneau_shared.limits.leases import Limiter
from creneau_shared.limits.storage import StoredBuckets, rate_bucket_table
from creneau_shared.retention.rules import removing

LIMIT = Limit("patient", per_s=1.0, burst=40)
STILL = Limit("patient", per_s=0.000_001, burst=100)
"""so slow that nothing comes back while a test runs"""
CAMILLE, DOMINIQUE = Counted(b"camille", LIMIT), Counted(b"dominique", LIMIT)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a process's clock shows; to be changed in place."""
    moment = [100.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return moment[0]

    monkeypatch.setattr(leases, "time", Clock)
    return moment


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    """An empty `rate_bucket`."""
    url = new_database()
    connection = await asyncpg.connect(url)
    table = rate_bucket_table(new_metadata())
    await connection.execute(str(CreateTable(table).compile(dialect=postgresql.dialect())))
    await connection.close()
    async with Database(url, size=2, statement_timeout_s=60, name="test") as opened:
        yield opened


def unavailable() -> float:
    return REGISTRY.get_sample_value("creneau_limits_unavailable_total") or 0.0


async def granted(limiter: Limiter, one: Counted, tries: int, cost: int = 1) -> int:
    """How many of so many simultaneous requests were let in."""

    async def ask() -> bool:
        try:
            await limiter.take([one], cost)
        except TooManyRequests:
            return False
        return True

    return sum(await asyncio.gather(*(ask() for _ in range(tries))))


async def test_the_burst_then_the_rate(now: list[float]) -> None:
    limiter = Limiter()
    assert await granted(limiter, CAMILLE, 50) == 40
    with pytest.raises(TooManyRequests) as refused:
        await limiter.take([CAMILLE], 3)
    assert refused.value.headers["Retry-After"] == "3"
    assert refused.value.headers["RateLimit-Policy"] == '"patient";q=40;w=40'
    now[0] += 3
    await limiter.take([CAMILLE], 3)
    assert await granted(limiter, CAMILLE, 1) == 0
    now[0] += 3600
    assert await granted(limiter, CAMILLE, 50) == 40


async def test_each_has_a_bucket_of_their_own(now: list[float]) -> None:
    limiter = Limiter()
    assert await granted(limiter, CAMILLE, 50) == 40
    assert await granted(limiter, DOMINIQUE, 50) == 40


async def test_work_counts_as_what_it_is(now: list[float]) -> None:
    """A batch of forty creations is forty, not one; and what can never fit is refused at once."""
    limiter = Limiter()
    await limiter.take([CAMILLE], 40)
    assert await granted(limiter, CAMILLE, 1) == 0
    with pytest.raises(TooManyRequests) as refused:
        await limiter.take([DOMINIQUE], 41)
    assert refused.value.issues[0].details_code == "rate-never"
    await limiter.take([DOMINIQUE], 40)


async def test_what_was_done_already_is_waited_for(now: list[float]) -> None:
    """A large answer is known to be large when it is there: the next request pays. Nobody is shut out for ever."""
    limiter = Limiter()
    await limiter.take([CAMILLE], 1)
    limiter.charge([CAMILLE], 1_000_000)
    with pytest.raises(TooManyRequests) as refused:
        await limiter.take([CAMILLE], 1)
    assert 1 <= int(refused.value.headers["Retry-After"]) <= LIMIT.burst
    now[0] += 2 * LIMIT.burst
    with pytest.raises(TooManyRequests):  # what came back has paid
        await limiter.take([CAMILLE], 1)
    now[0] += 2
    await limiter.take([CAMILLE], 1)


async def test_who_is_refused_for_one_reason_has_not_used_up_the_other(now: list[float]) -> None:
    """A secretary and their software: the one's refusal costs the other nothing."""
    limiter, software = Limiter(), Counted(b"software", Limit("software", 1.0, 10))
    for _ in range(10):
        await limiter.take([software], 1)
    for _ in range(50):
        with pytest.raises(TooManyRequests):
            await limiter.take([CAMILLE, software], 1)
    assert await granted(limiter, CAMILLE, 50) == 40


async def test_no_limit_is_no_limit() -> None:
    free = Counted(b"loader", Limit("system", 0.0, 1))
    assert await granted(Limiter(), free, 500, cost=1000) == 500


async def test_two_processes_share_a_bucket(database: Database) -> None:
    """What one has taken the other has not: together they let in what one would have."""
    one, other = (Limiter(StoredBuckets(database).lease) for _ in range(2))
    camille = Counted(b"camille", STILL)
    both = await asyncio.gather(granted(one, camille, 200), granted(other, camille, 200))
    assert sum(both) == STILL.burst
    assert await granted(Limiter(StoredBuckets(database).lease), camille, 5) == 0


async def test_large_work_in_two_processes_never_exceeds_the_bucket(database: Database) -> None:
    """Amounts that do not divide the burst: what is left over is not given twice."""
    one, other = (Limiter(StoredBuckets(database).lease) for _ in range(2))
    camille = Counted(b"camille", STILL)
    both = await asyncio.gather(granted(one, camille, 40, cost=7), granted(other, camille, 40, cost=7))
    assert 0 < sum(both) <= STILL.burst // 7


async def test_the_usual_request_asks_nobody(database: Database) -> None:
    """A process takes a tenth of the burst at once; a refusal is remembered and asks nobody either."""
    asked = 0
    stored = StoredBuckets(database)

    async def lease(key: bytes, limit: Limit, need: float, want: float) -> tuple[float, float]:
        nonlocal asked
        asked += 1
        return await stored.lease(key, limit, need, want)

    limiter, camille = Limiter(lease), Counted(b"camille", STILL)
    assert await granted(limiter, camille, 100) == 100
    assert asked == 10
    assert await granted(limiter, camille, 100) == 0
    assert asked <= 11


async def test_the_bucket_fills_again(database: Database) -> None:
    """By the database's clock, and never beyond its burst."""
    stored, fast = StoredBuckets(database), Limit("patient", 1.0, 40)
    assert await stored.lease(b"camille", fast, 40, 40) == (40, 0)
    await database.pool.execute("UPDATE rate_bucket SET at = at - interval '10 seconds'")
    given, _ = await stored.lease(b"camille", fast, 10, 10)
    assert given == 10
    await database.pool.execute("UPDATE rate_bucket SET at = at - interval '1 year'")
    given, left = await stored.lease(b"camille", fast, 1, 4)
    assert (given, left) == (4, 36)


async def test_a_bucket_that_nobody_asks_for_is_removed(database: Database) -> None:
    stored = StoredBuckets(database)
    await stored.lease(b"camille", LIMIT, 1, 1)
    await stored.lease(b"dominique", LIMIT, 1, 1)
    async with database.connection() as connection:
        await connection.execute("UPDATE rate_bucket SET at = at - interval '2 hours' WHERE key = 'camille'")
        before = datetime.now(UTC) - timedelta(hours=1)
        assert await removing("rate_bucket", "at")(connection, before, 10) == 1
        assert await connection.fetchval("SELECT key FROM rate_bucket") == b"dominique"


async def test_without_the_database_each_process_counts_alone(now: list[float]) -> None:
    """The service goes on, limits hold in each process, and the database is left in peace for a while."""
    asked = 0

    async def broken(key: bytes, limit: Limit, need: float, want: float) -> tuple[float, float]:
        nonlocal asked
        asked += 1
        raise ConnectionRefusedError

    before = unavailable()
    limiter = Limiter(broken)
    assert await granted(limiter, CAMILLE, 50) == 40
    assert asked == 1
    assert unavailable() == before + 1
    now[0] += leases.ALONE_S
    assert await granted(limiter, CAMILLE, 1) == 1
    assert asked == 2


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, now: list[float]) -> None:
    monkeypatch.setattr(leases, "CALLERS_REMEMBERED_MAX", 2)
    limiter = Limiter()
    await limiter.take([CAMILLE], LIMIT.burst)
    assert await granted(limiter, CAMILLE, 1) == 0
    for name in (b"b", b"c", b"d"):
        await limiter.take([Counted(name, LIMIT)], 1)
    assert await granted(limiter, CAMILLE, 1, LIMIT.burst) == 1, (
        "forgotten by the count and by the process's own bucket"
    )


async def test_who_leaves_does_not_take_the_answer_with_them(now: list[float]) -> None:
    """Several requests of one caller wait for the same lease; one of them is given up."""
    answered = asyncio.Event()

    async def slow(key: bytes, limit: Limit, need: float, want: float) -> tuple[float, float]:
        await answered.wait()
        return want, 0.0

    limiter = Limiter(slow)
    first, second = (asyncio.create_task(limiter.take([CAMILLE], 1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    answered.set()
    await second
    assert first.cancelled()
