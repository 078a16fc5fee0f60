"""What is asked of processes and dependencies, and what is made of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest

from creneau_web.ops.collecting import Collector
from creneau_web.ops.reading import Key
from creneau_web.ops.report import Report
from creneau_web.ops.settings import OpsSettings

NOW = 1_800_000_000.0
METRICS = "creneau_outbox_lag_seconds 3\ncreneau_never_asked_for 1\n"


class Kept:
    """Stands in for what the pages' database keeps: what goes on, and when the last of what does not ended."""

    def __init__(self, bad_since: Mapping[str, float], ended: float | None = None) -> None:
        self.bad_since, self.ended, self.away = dict(bad_since), ended, False

    async def read(self, _seen_after: float) -> tuple[dict[str, float], float | None]:
        if self.away:
            raise ConnectionRefusedError
        return self.bad_since, self.ended

    async def write(self, bad_since: Mapping[str, float], _now: float) -> None:
        if self.away:
            raise ConnectionRefusedError
        self.bad_since = dict(bad_since)


def collector(
    answers: Mapping[str, httpx.Response | Exception], kept: Kept | None = None, **settings: str
) -> Collector:
    """Over processes that answer so, by address."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get(f"{request.url.host}{request.url.path}", httpx.Response(404))
        if isinstance(found, Exception):
            raise found
        return found

    told = OpsSettings(ops_timeout_s=30, **settings)  # type: ignore[arg-type]
    return Collector(told, lambda: NOW, kept or Kept({}), httpx.MockTransport(answer))


async def test_a_process_is_read_with_its_readiness() -> None:
    ready = httpx.Response(503, json={"checks": {"database": "down (OSError)", "kafka": "ok"}})
    answers = {"127.0.0.1/metrics": httpx.Response(200, text=METRICS), "127.0.0.1/health/ready": ready}
    watching = collector(answers, ops_processes="booking-worker=http://127.0.0.1:9")
    await watching.look()
    seen = watching.memory.processes["booking-worker"]
    assert seen.now() == {Key("creneau_outbox_lag_seconds"): 3.0}
    assert seen.last is not None
    assert (seen.last.answered, seen.last.failing) == (True, ("database",))
    assert watching.memory.looked_at == NOW


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("no"), httpx.ReadTimeout("late"), httpx.Response(500)]
)
async def test_one_that_does_not_answer_stops_nobody(failure: httpx.Response | Exception) -> None:
    """Refused, too late, or answering with a failure: it is away, and the others are read."""
    answers: dict[str, httpx.Response | Exception] = {
        "127.0.0.1/metrics": failure,
        "127.0.0.2/metrics": httpx.Response(200, text=METRICS),
        "127.0.0.2/health/ready": httpx.Response(200),
    }
    watching = collector(answers, ops_processes="a=http://127.0.0.1:9,b=http://127.0.0.2:9")
    await watching.look()
    last = {name: seen.last for name, seen in watching.memory.processes.items()}
    assert {name: look.answered for name, look in last.items() if look} == {"a": False, "b": True}


async def test_a_dependency_is_there_when_it_takes_a_connection() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answers: dict[str, httpx.Response | Exception] = {
        "127.0.0.1/.well-known/openid-configuration": httpx.Response(200, json={}),
    }
    watching = collector(
        answers,
        ops_dependencies=f"PostgreSQL=tcp://127.0.0.1:{port},issuer=http://127.0.0.1/.well-known/openid-configuration,"
        "entrance=http://127.0.0.1/health/ready",
    )
    await watching.look()

    def there() -> dict[str, bool]:
        return {
            name: bool(seen.last and seen.last.answered)
            for name, seen in watching.memory.dependencies.items()
        }

    assert there() == {"PostgreSQL": True, "issuer": True, "entrance": False}
    server.close()
    await server.wait_closed()
    await watching.look()
    assert not there()["PostgreSQL"]


async def test_several_addresses_of_one_name_are_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's name is for its replicas; one that is gone is forgotten with its address."""
    addresses = ["10.0.0.1", "10.0.0.2"]

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", (address, 8000)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    watching = collector({}, ops_processes="booking-api=http://booking-api:8000")
    await watching.look()
    assert set(watching.memory.processes) == {"booking-api#10.0.0.1", "booking-api#10.0.0.2"}
    addresses.pop()
    await watching.look()
    assert set(watching.memory.processes) == {"booking-api"}


async def test_a_judgment_that_fails_is_said_and_the_next_one_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """O7 too: whoever opens the page does not read for ever what was so before."""
    watching = collector({}, ops_processes="a=http://127.0.0.1:9", ops_interval_s="0.01")
    judge, judgments = watching._judge, 0

    def failing_once() -> Report:
        nonlocal judgments
        judgments += 1
        if judgments == 1:
            raise KeyError("x")
        return judge()

    monkeypatch.setattr(watching, "_judge", failing_once)
    running = asyncio.create_task(watching.run())
    async with asyncio.timeout(60):
        while watching.memory.failed is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        while watching.memory.failed is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()
    assert judgments >= 2


async def test_a_look_that_fails_is_said_and_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """O7: its own failure is visible, and ends by itself."""
    watching = collector({}, ops_processes="a=http://127.0.0.1:9", ops_interval_s="0.01")
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise KeyError("x")

    monkeypatch.setattr(watching, "look", look)
    running = asyncio.create_task(watching.run())
    async with asyncio.timeout(60):
        while watching.memory.failed is None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        assert watching.report().state == "blind"
        while watching.memory.failed is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()
    assert looks >= 2


PROCESS_AWAY = "processes/process/a"


async def rounds(watching: Collector, until: Callable[[], bool]) -> None:
    """It looks again and again until this is so."""
    running = asyncio.create_task(watching.run())
    async with asyncio.timeout(60):
        while not until():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    running.cancel()


async def test_a_process_that_begins_anew_knows_since_when() -> None:
    """What the one before it put down, at its first judgment already, for what is still bad."""
    kept = Kept({PROCESS_AWAY: NOW - 7200})
    watching = collector({}, kept, ops_processes="a=http://127.0.0.1:9", ops_interval_s="0.01")
    await rounds(watching, lambda: watching.memory.looked_at is not None and bool(watching.report().bad))
    assert watching.report().since == NOW - 7200


async def test_since_when_is_put_down_as_soon_as_the_database_is_back() -> None:
    """It is never the reason why the page sees nothing."""
    kept = Kept({})
    kept.away = True
    watching = collector({}, kept, ops_processes="a=http://127.0.0.1:9", ops_interval_s="0.01")
    await rounds(watching, lambda: bool(watching.report().bad))
    assert watching.memory.failed is None
    assert kept.bad_since == {}
    kept.away = False
    await watching._keep()
    assert kept.bad_since == {PROCESS_AWAY: NOW}
