"""Runs a process that answers HTTP, from its start until the last open request is answered."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Protocol

import uvicorn

from creneau_shared.collector import settle
from creneau_shared.http.health import Health
from creneau_shared.http.protocol import PatientProtocol

KEEP_ALIVE_S = 75


class Listening(Protocol):
    """The settings of every process that answers HTTP."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def shutdown_grace_s(self) -> float: ...


class Application(Protocol):
    """An ASGI application that can tell whether it is ready."""

    health: Health

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None: ...


def serve(app: Application, settings: Listening) -> None:
    """Serves until SIGTERM: readiness fails first, open requests are finished, then the process ends."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        timeout_keep_alive=KEEP_ALIVE_S,
        http=PatientProtocol,
    )
    _DrainingServer(config, app.health).run()


class CalmServer(uvicorn.Server):
    """uvicorn polls ten times a second whether to end; this server waits for an event, and updates the Date header."""

    TICK_S = 1.0

    def __init__(self, config: uvicorn.Config) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        return self._ending.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value and self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)  # a signal is handled beside the loop
        elif value:
            self._ending.set()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(self.TICK_S):
                    await self._ending.wait()


class _DrainingServer(CalmServer):
    """Makes readiness fail before it stops accepting; once it accepts, freezes the loaded objects (`collector.settle`)."""

    def __init__(self, config: uvicorn.Config, health: Health) -> None:
        super().__init__(config)
        self._health = health

    async def main_loop(self) -> None:
        settle()
        await super().main_loop()

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._health.draining = True
        super().handle_exit(sig, frame)
