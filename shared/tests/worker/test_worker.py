"""A worker process as its platform sees it: health, restarts, SIGTERM. Each test runs a real process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import httpx
import pytest
from deploy.local.ports import free_port

from creneau_shared.worker import AWAY_MAX_S, RESTART_MAX_S, pause_after

Start = Callable[..., Awaitable["Worker"]]

PRELUDE = """
import asyncio, sys
from creneau_shared.settings import ServiceSettings
from creneau_shared.tasks import Task
from creneau_shared.worker import run_worker

async def work(stop):
    await stop.wait()

async def fine():
    pass
"""


class Worker:
    """One running worker process and its address."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(self.url + path)

    async def until(self, path: str, condition: Callable[[httpx.Response], bool]) -> httpx.Response:
        """Ask until the answer is as wanted."""
        deadline = asyncio.get_running_loop().time() + 60
        while True:
            try:
                response = await self.get(path)
                if condition(response):
                    return response
            except httpx.TransportError:
                response = httpx.Response(599)
            assert asyncio.get_running_loop().time() < deadline, response.text
            await asyncio.sleep(0.05)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Call it with the worker's program after the prelude; every process is ended after the test."""
    async with AsyncExitStack() as stack:

        async def make(program: str, grace_s: int = 2) -> Worker:
            return await stack.enter_async_context(_running(PRELUDE + textwrap.dedent(program), grace_s))

        yield make


@asynccontextmanager
async def _running(program: str, grace_s: int) -> AsyncIterator[Worker]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env={
            "PORT": str(port),
            "DATABASE_URL": "postgresql://nobody@127.0.0.1/none",
            "SHUTDOWN_GRACE_S": str(grace_s),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Worker(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_readiness_names_the_dependency_that_is_down(start: Start) -> None:
    worker = await start("""
        async def down():
            raise ConnectionRefusedError("postgresql://creneau:hunter2@db")
        asyncio.run(run_worker(ServiceSettings(), "test", [Task("work", work)], {"broker": fine, "database": down}))
    """)
    response = await worker.until("/health/ready", lambda response: True)
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "checks": {"broker": "ok", "database": "down (ConnectionRefusedError)"},
    }
    assert (await worker.get("/health/live")).status_code == 200
    assert (await worker.get("/elsewhere")).status_code == 404


async def test_sigterm_fails_readiness_lets_tasks_finish_and_exits_with_0(start: Start) -> None:
    worker = await start(
        """
        async def finish(stop):
            await stop.wait()
            await asyncio.to_thread(sys.stdin.read)  # until the test has seen what it came for
            print("finished", file=sys.stderr, flush=True)
        asyncio.run(run_worker(ServiceSettings(), "test", [Task("finish", finish)], {"broker": fine}))
    """,
        grace_s=60,
    )
    await worker.until("/health/ready", lambda response: response.status_code == 200)
    worker.process.send_signal(signal.SIGTERM)
    response = await worker.until("/health/ready", lambda response: response.status_code == 503)
    assert response.json()["checks"]["process"] == "draining"
    _, errors = await asyncio.wait_for(worker.process.communicate(b""), 60)
    assert worker.process.returncode == 0
    assert b"finished" in errors


async def test_a_task_that_does_not_stop_is_ended_within_the_grace_time(start: Start) -> None:
    worker = await start("""
        async def never(stop):
            await asyncio.Event().wait()
        asyncio.run(run_worker(ServiceSettings(), "test", [Task("never", never)], {}))
    """)
    await worker.until("/health/live", lambda response: response.status_code == 200)
    worker.process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(worker.process.communicate(), 60)
    assert worker.process.returncode == 0
    assert b"task did not stop in time" in errors


@pytest.mark.parametrize("failure", ["raise RuntimeError('once more')", "await given_up()"])
async def test_a_task_that_crashes_is_said_and_started_again(start: Start, failure: str) -> None:
    """Also one that is ended by the cancellation of something that it waits for: nobody has asked it to end."""
    worker = await start(
        """
        runs = 0
        async def given_up():
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        async def crash_twice(stop):
            global runs
            runs += 1
            if runs <= 2:
                FAILURE
            await stop.wait()
        asyncio.run(run_worker(
            ServiceSettings(), "test", [Task("shaky", crash_twice, stuck=lambda: runs < 3)], {}
        ))
    """.replace("FAILURE", failure)
    )
    response = await worker.until("/health/live", lambda response: True)
    assert (response.status_code, response.json()["checks"]) == (503, {"shaky": "stuck"})
    await worker.until("/health/live", lambda response: response.status_code == 200)
    assert 'creneau_task_crashes_total{task="shaky"} 2.0' in (await worker.get("/metrics")).text
    worker.process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(worker.process.communicate(), 60)
    assert worker.process.returncode == 0
    assert errors.count(b"task crashed") == 2


def test_what_a_database_that_was_away_has_failed_is_not_late_when_it_is_back() -> None:
    """A task that fails by itself is left alone for longer and longer; one that fails with the database or the broker is
    wanted as soon as these are there."""
    assert max(pause_after(ConnectionRefusedError(), crashes) for crashes in range(20)) == AWAY_MAX_S
    assert max(pause_after(asyncpg.CannotConnectNowError(), crashes) for crashes in range(20)) == AWAY_MAX_S
    assert pause_after(ValueError(), 20) == RESTART_MAX_S
