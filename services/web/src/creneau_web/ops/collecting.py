"""Asks every process for its numbers and its readiness, and every dependency whether it is there, again and again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import httpx
import orjson
import structlog

from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_web.ops.judging.wanted import WANTED
from creneau_web.ops.memory import Look, Memory, Seen
from creneau_web.ops.reading import Numbers, read
from creneau_web.ops.report import Report, Tracker, as_of, report
from creneau_web.ops.settings import OpsSettings, Place

log = structlog.get_logger(__name__)


class Troubles(Protocol):
    """Where it is kept since when what is bad: `creneau_web.storage.troubles`."""

    async def read(self, seen_after: float) -> tuple[dict[str, float], float | None]: ...

    async def write(self, bad_since: Mapping[str, float], now: float) -> None: ...


class Collector:
    """One for each process. `now` gives seconds since 1970."""

    def __init__(
        self,
        settings: OpsSettings,
        now: Callable[[], float],
        troubles: Troubles,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._troubles = troubles
        self._resumed = False
        self._kept: Mapping[str, float] = {}
        self._http = httpx.AsyncClient(
            timeout=settings.ops_timeout_s, transport=transport, trust_env=False, follow_redirects=False
        )
        self.memory = Memory()
        self.tracker = Tracker(now())
        self._judged: Report | None = None

    @property
    def open_to_all(self) -> bool:
        """Whether the page is shown to whoever asks for it."""
        return self._settings.ops_open

    @property
    def metrics_url(self) -> str:
        """Where Grafana is; empty: nowhere."""
        return self._settings.ops_metrics_url

    @property
    def watches(self) -> bool:
        return bool(self._settings.processes or self._settings.dependencies)

    def report(self) -> Report:
        """The report as of now."""
        if self._judged is None:
            return self._judge()
        return as_of(self._judged, self.memory, self._settings, self._now())

    def _judge(self) -> Report:
        return report(self.memory, self._settings, self.tracker, self._now())

    async def run(self) -> None:
        """Looks again and again, until it is cancelled. What goes wrong here is shown on the page."""
        async with self._http:
            while self.watches:
                looked = await _failure_of(self.look)
                await self._keep()
                # Once for each look and in a thread, however often the page is read: other pages must not wait.
                judged = await _failure_of(self._judge_apart)
                self.memory.failed = looked or judged
                await asyncio.sleep(self._settings.ops_interval_s)

    async def _judge_apart(self) -> None:
        self._judged = await asyncio.to_thread(self._judge)

    async def _keep(self) -> None:
        """Puts down since when what was bad in the last round, and at first reads what a process before this one has put
        down. The database may be what is away: the page does without, and the next round tries again."""
        tracker, now = self.tracker, self._now()
        try:
            async with asyncio.timeout(self._settings.ops_timeout_s):
                if not self._resumed:
                    known = await self._troubles.read(tracker.began - self._settings.ops_kept_min * 60)
                    tracker.resume(*known, now)
                    self._resumed = True
                going_on = tracker.going_on
                if going_on or self._kept:
                    await self._troubles.write(going_on, now)
                    self._kept = going_on
        except DATABASE_FAILURES as error:
            log.warning("troubles.unkept", error=error)

    async def look(self) -> None:
        """One look at everything, all at the same time."""
        processes = await self._resolved()
        keep_after = self._now() - self._settings.ops_kept_min * 60
        self.memory.forget_all_but({place.name: place for place in processes})
        await asyncio.gather(
            *(self._look_at_process(place, keep_after) for place in processes),
            *(self._look_at_dependency(place, keep_after) for place in self._settings.dependencies),
        )
        self.memory.looked_at = self._now()

    async def _look_at_process(self, place: Place, keep_after: float) -> None:
        seen = self.memory.processes.setdefault(place.name, Seen())
        numbers: Numbers | None = None
        failing: tuple[str, ...] = ()
        try:
            exposition, ready = await asyncio.gather(
                self._http.get(f"{place.url}/metrics"), self._http.get(f"{place.url}/health/ready")
            )
            numbers = read(exposition.text, WANTED) if exposition.status_code == 200 else None
            failing = _failing(ready)
        except httpx.HTTPError:
            pass
        seen.add(Look(self._now(), numbers is not None, failing), numbers, keep_after)

    async def _look_at_dependency(self, place: Place, keep_after: float) -> None:
        seen = self.memory.dependencies.setdefault(place.name, Seen())
        there = await (self._answers(place) if place.is_http else self._connects(place))
        seen.add(Look(self._now(), there), None, keep_after)

    async def _answers(self, place: Place) -> bool:
        try:
            return (await self._http.get(place.url)).status_code == 200
        except httpx.HTTPError:
            return False

    async def _connects(self, place: Place) -> bool:
        try:
            async with asyncio.timeout(self._settings.ops_timeout_s):
                _, writer = await asyncio.open_connection(place.host, place.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    async def _resolved(self) -> Sequence[Place]:
        """The processes: a host with several addresses counts as several; one that cannot be resolved stays one."""
        found: list[Place] = []
        for several in await asyncio.gather(*(self._addresses(place) for place in self._settings.processes)):
            found += several
        return found

    async def _addresses(self, place: Place) -> list[Place]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.ops_timeout_s):
                infos = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError):
            return [place]
        addresses = sorted({str(info[4][0]) for info in infos if info[0] == socket.AF_INET})
        if len(addresses) < 2:
            return [place]
        return [Place(f"{place.name}#{address}", f"http://{address}:{place.port}") for address in addresses]


async def _failure_of(step: Callable[[], Awaitable[None]]) -> str | None:
    """Runs a step; returns the type of its exception, which is logged, or None."""
    try:
        await step()
    except Exception as error:
        log.exception("looking has failed")
        return type(error).__name__
    return None


def _failing(ready: httpx.Response) -> tuple[str, ...]:
    """The checks by which a process says that it is not ready."""
    if ready.status_code == 200:
        return ()
    try:
        checks = orjson.loads(ready.content)["checks"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ("readiness",)
    return tuple(sorted(name for name, state in checks.items() if state != "ok"))
