"""`run_worker`: the long-running tasks of a service in one process, with health and metrics.

A task that crashes is logged and started again, with a growing pause. On SIGTERM and SIGINT readiness fails,
every task is told to stop and finishes its current work; the process exits with 0 within `SHUTDOWN_GRACE_S`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import structlog
import uvicorn
import uvloop
from prometheus_client import Counter

from creneau_shared.collector import settle
from creneau_shared.database.failures import NO_CONNECTION
from creneau_shared.database.pool import Database
from creneau_shared.database.schema import schema_of
from creneau_shared.http.health import Check, Health, HealthApp
from creneau_shared.http.serving import CalmServer
from creneau_shared.logging import configure_logging
from creneau_shared.messaging.waiting import backoff_s, is_cancelled, wait
from creneau_shared.metrics import tell_process
from creneau_shared.settings import ServiceSettings
from creneau_shared.tasks import Task

RESTART_MIN_S = 0.5
RESTART_MAX_S = 30.0
AWAY_MAX_S = 5.0
"""longest pause after a failure of a dependency: it is usually back soon, and the task should then go on at once"""
STEADY_AFTER_S = 60.0
"""A task that ran this long before it crashed starts with the shortest pause again."""

CRASHES = Counter("creneau_task_crashes", "Tasks that ended by an exception", ["task"])

log = structlog.get_logger(__name__)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs the work of a process to its end, on the same kind of event loop as the servers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def run_worker(
    settings: ServiceSettings,
    name: str,
    tasks: Sequence[Task],
    readiness: Mapping[str, Check],
    database: Database | None = None,
) -> None:
    """Runs `tasks` until SIGTERM or SIGINT. `readiness` has a check for each dependency, which raises when it
    is down. `database`: its schema revision is published (`metrics.tell_process`).

    Listens on `settings.host` and `settings.port` for `/health/live`, `/health/ready` and `/metrics`.
    """
    configure_logging(settings, name)
    schema = await schema_of(database) if database is not None else None
    tell_process(name.rpartition("-")[0] or name, settings, schema)
    stop = asyncio.Event()
    health = Health(readiness=readiness, stuck={task.name: task.stuck for task in tasks})
    _stop_on_signals(stop, health)
    server, serving = _serve(settings, health)
    running = [asyncio.create_task(_supervise(task, stop), name=task.name) for task in tasks]
    settle()
    log.info("worker started", tasks=[task.name for task in tasks])
    await stop.wait()
    log.info("worker stops")
    await _drain(running, settings.shutdown_grace_s)
    server.should_exit = True
    await serving
    log.info("worker stopped")


async def _supervise(task: Task, stop: asyncio.Event) -> None:
    """Runs one task, restarting it after crashes, until it ends by itself after `stop`."""
    loop = asyncio.get_running_loop()
    crashes = 0
    while not stop.is_set():
        started = loop.time()
        try:
            await task.run(stop)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            CRASHES.labels(task.name).inc()
            crashes = 1 if loop.time() - started > STEADY_AFTER_S else crashes + 1
            pause_s = pause_after(error, crashes)
            log.exception("task crashed", task=task.name, restart_in_s=pause_s)
            await wait(stop, pause_s)
        else:
            if not stop.is_set():
                log.info("task ended", task=task.name)
            return


def pause_after(error: BaseException, crashes: int) -> float:
    """The pause in seconds before the restart of a task that crashed `crashes` times in a row, last with `error`."""
    most_s = AWAY_MAX_S if isinstance(error, NO_CONNECTION) else RESTART_MAX_S
    return backoff_s(crashes, least_s=RESTART_MIN_S, most_s=most_s)


async def _drain(running: Sequence[asyncio.Task[None]], grace_s: float) -> None:
    """Lets the tasks finish their current work; cancels those that take longer than `grace_s`."""
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=grace_s)
    for task in late:
        log.error("task did not stop in time", task=task.get_name(), grace_s=grace_s)
        task.cancel()
    if late:
        _, hanging = await asyncio.wait(late, timeout=1.0)
        if hanging:
            # A client that ignores its cancellation would keep the process alive for ever.
            os._exit(1)


def _stop_on_signals(stop: asyncio.Event, health: Health) -> None:
    def asked() -> None:
        health.draining = True
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)


def _serve(settings: ServiceSettings, health: Health) -> tuple[CalmServer, asyncio.Task[None]]:
    """Starts the small server for health and metrics; logs where it listens."""
    listener = socket.create_server((settings.host, settings.port), reuse_port=False)
    config = uvicorn.Config(
        HealthApp(health), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = CalmServer(config)
    log.info("health listens", host=settings.host, port=listener.getsockname()[1])
    return server, asyncio.create_task(_serve_without_signals(server, listener), name="health")


async def _serve_without_signals(server: CalmServer, listener: socket.socket) -> None:
    """Serves until `should_exit`; the worker keeps its signal handlers (uvicorn would replace them)."""
    await server._serve([listener])
