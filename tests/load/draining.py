"""When everything that writes have set going is done: events published and heard, due messages sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import asyncpg
from tests.load.system import System

WITHIN_S = 600
EVERY_S = 0.02
_PUBLISHED = "SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
_WRITTEN = "SELECT topic, partition, log_offset FROM outbox_log"
_HEARD = "SELECT topic, partition, min(log_offset) AS log_offset FROM inbox_log GROUP BY 1, 2"
_TOLD = (
    "SELECT NOT EXISTS (SELECT FROM message WHERE status = 'sending'"
    " OR status = 'planned' AND next_attempt_at <= now())"
)


@dataclass
class Draining:
    """Looks at the databases as nobody of the system."""

    booking: asyncpg.Connection
    notifications: asyncpg.Connection
    directory: asyncpg.Connection

    @classmethod
    async def of(cls, system: System) -> Self:
        names = ("booking", "notifications", "directory")
        return cls(*[await asyncpg.connect(system.database(name)) for name in names])

    async def published(self) -> None:
        """Return when booking's events are at the broker."""
        await self._until(self._is_published)

    async def replicated(self) -> None:
        """Return when what the directory has told is known to booking and notifications."""
        await self._until(self._is_replicated)

    async def drained(self) -> float:
        """Return when notifications has heard them and sent what is due; how long that took, seconds."""
        began = time.perf_counter()
        await self._until(self._is_published)
        await self._until(self._is_heard)
        return time.perf_counter() - began

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{condition.__name__}: not within {WITHIN_S} s")
            await asyncio.sleep(EVERY_S)

    async def _is_replicated(self) -> bool:
        if not await self.directory.fetchval(_PUBLISHED):
            return False
        written = {
            (row["topic"], row["partition"]): row["log_offset"]
            for row in await self.directory.fetch(_WRITTEN)
        }
        for listener in (self.booking, self.notifications):
            heard = {
                (row["topic"], row["partition"]): row["log_offset"] for row in await listener.fetch(_HEARD)
            }
            if any(heard.get(place, -1) < offset for place, offset in written.items()):
                return False
        return True

    async def _is_published(self) -> bool:
        return bool(await self.booking.fetchval(_PUBLISHED))

    async def _is_heard(self) -> bool:
        heard = {
            (row["topic"], row["partition"]): row["log_offset"]
            for row in await self.notifications.fetch(_HEARD)
        }
        for row in await self.booking.fetch(_WRITTEN):
            at = heard.get((row["topic"], row["partition"]), -1)
            if at < row["log_offset"]:
                return False
        return bool(await self.notifications.fetchval(_TOLD))
