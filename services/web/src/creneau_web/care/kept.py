"""Keeps what anybody may read, for some seconds or while it is being asked for: many people look at one page at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

ROOM = 2048


class Kept(Generic[Value]):
    """Keeps values by key for `seconds` from the request on; who asks for one that is being made waits for it. Zero seconds:
    only those who wait share the value. `is_personal`: whether a failure concerns its caller alone, so that those who waited
    ask for themselves."""

    def __init__(
        self,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        is_personal: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._is_personal = is_personal
        self._found: dict[Hashable, tuple[float, asyncio.Future[Value]]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        """The kept value, or a new one. What fails is not kept."""
        now = self._monotonic()
        kept = self._found.get(key)
        if kept is not None and self._holds(kept, now):
            try:
                return await asyncio.shield(kept[1])
            except Exception as error:
                if not self._is_personal(error):
                    raise
                return await make()
        making: asyncio.Future[Value] = asyncio.ensure_future(make())
        self._keep(key, making, now)
        making.add_done_callback(lambda made: self._forget_what_does_not_hold(key, made))
        return await asyncio.shield(making)

    def known(self, key: Hashable) -> Value | None:
        """The kept value; None where it would have to be made, or is being made."""
        kept = self._found.get(key)
        if kept is None or not kept[1].done() or not self._holds(kept, self._monotonic()):
            return None
        return kept[1].result()

    def put(self, key: Hashable, value: Value) -> None:
        """Keeps a value from elsewhere."""
        made: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        made.set_result(value)
        self._keep(key, made, self._monotonic())

    def _forget_what_does_not_hold(self, key: Hashable, made: asyncio.Future[Value]) -> None:
        failed = made.cancelled() or made.exception() is not None
        kept = self._found.get(key)
        if kept is not None and kept[1] is made and (failed or not self._seconds):
            del self._found[key]

    def _holds(self, kept: tuple[float, asyncio.Future[Value]], now: float) -> bool:
        return not kept[1].done() or now - kept[0] < self._seconds

    def _keep(self, key: Hashable, future: asyncio.Future[Value], now: float) -> None:
        self._found[key] = (now, future)
        if len(self._found) <= ROOM:
            return
        for old in [old for old, kept in self._found.items() if not self._holds(kept, now)]:
            del self._found[old]
        while len(self._found) > ROOM:
            del self._found[next(iter(self._found))]
