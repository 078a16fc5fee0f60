"""Pauses that end at once when the process stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def wait(stop: asyncio.Event, seconds: float) -> bool:
    """Waits for `stop`, at most `seconds`; True when it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def every(pause_s: float, work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Does `work`, and again after each pause, until `stop` is set."""
    while not stop.is_set():
        await work()
        await wait(stop, pause_s)


def is_cancelled() -> bool:
    """Whether the current task is being cancelled. If not, a CancelledError came from an awaited object (aiokafka cancels
    futures that it has returned), and is a failure like any other."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def backoff_s(failures: int, *, least_s: float, most_s: float) -> float:
    """The pause after this many failures in a row: 0, `least_s`, then doubled each time up to `most_s`."""
    if not failures:
        return 0.0
    return float(min(most_s, least_s * 2 ** min(failures - 1, 30)))
