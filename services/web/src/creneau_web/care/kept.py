"""What anybody may read, kept for some seconds: many people look at the same page at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

ROOM = 512


class Kept(Generic[Value]):
    """Values by key for `seconds`; who asks for one that is being made waits for it."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._found: dict[Hashable, tuple[float, asyncio.Future[Value]]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        """The kept value, or a new one. What fails is not kept."""
        now = self._monotonic()
        kept = self._found.get(key)
        if kept is not None and now - kept[0] <= self._seconds:
            return await asyncio.shield(kept[1])
        making: asyncio.Future[Value] = asyncio.ensure_future(make())
        self._found[key] = (now, making)
        self._make_room(now)
        try:
            return await asyncio.shield(making)
        except Exception:
            self._found.pop(key, None)
            raise

    def _make_room(self, now: float) -> None:
        if len(self._found) <= ROOM:
            return
        for key in [key for key, (at, _) in self._found.items() if now - at > self._seconds]:
            del self._found[key]
        while len(self._found) > ROOM:
            del self._found[next(iter(self._found))]
