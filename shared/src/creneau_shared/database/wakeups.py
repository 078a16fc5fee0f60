"""Wakes tasks that wait for rows when a commit brings them, in any process.

A transaction announces a channel (`closing.announce`). After its commit, the bells of its own process are rung, and
the other processes are notified in the background. NOTIFY within the transaction itself would make the commits of the
server wait for each other; this separate NOTIFY is rare and has no payload.

A wake-up may be lost, if the process dies after its commit or the listener loses its connection. So those who wait also
look again after some time; a bell only makes them look earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

TELL = """
SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, '') FROM unnest($1::text[]) AS given (channel)"""
"""Does not wait for the disk: a lost wake-up only costs a moment."""

ANSWER_FIRST_S = 0.003
"""pause before other processes are notified, so that the caller gets the answer before they begin to work"""
LAST_WORD_S = 1.0
"""how long an ending process tries to send its last wake-ups"""

Tell = Callable[[list[str]], Awaitable[object]]
"""Notifies all listening processes on these channels. May raise the exceptions that `failures` of `Bells` names."""


async def either(*events: asyncio.Event, timeout_s: float | None) -> None:
    """Waits until one of the events is set, for at most `timeout_s` seconds (None: no limit)."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Bell:
    """Rung when a commit has announced its channel.

    Read `rung` before looking for rows, then pass it to `wait` as `since`: rows that come in between are not missed.
    """

    def __init__(self) -> None:
        self.rung = 0
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who waits."""
        self.rung += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, stop: asyncio.Event, seconds: float | None, *, since: int) -> None:
        """Waits until the bell rings (or has rung after `since`), or `stop` is set, for at most `seconds` (None: no
        limit)."""
        if self.rung != since or stop.is_set() or (seconds is not None and seconds <= 0):
            return
        await either(self._next, stop, timeout_s=seconds)


class Bells:
    """The bells of one process for one database, by channel; also rings those of the other processes."""

    def __init__(self, tell: Tell, *, failures: tuple[type[Exception], ...], pause_s: float) -> None:
        """`pause_s`: pause between two notifications; a channel announced several times meanwhile is notified once."""
        self._tell = tell
        self._failures = failures
        self._pause_s = pause_s
        self._bells: dict[str, Bell] = {}
        self.asked_for = asyncio.Event()
        """set when `of` makes a new bell; the listener clears it"""
        self._untold: set[str] = set()
        self._telling: asyncio.Task[None] | None = None

    def of(self, channel: str) -> Bell:
        """The bell of a channel (a PostgreSQL identifier)."""
        if channel not in self._bells:
            self._bells[channel] = Bell()
            self.asked_for.set()
        return self._bells[channel]

    @property
    def channels(self) -> Collection[str]:
        """The channels that have a bell in this process."""
        return tuple(self._bells)

    def ring_all(self) -> None:
        """Rings every bell: there may be something on any channel."""
        for bell in self._bells.values():
            bell.ring()

    def announce(self, channels: Collection[str]) -> None:
        """Rings the bells of these channels: in this process at once, in the others as soon as possible."""
        for channel in channels:
            if channel in self._bells:
                self._bells[channel].ring()
        self._untold.update(channels)
        if self._untold and self._telling is None:
            self._telling = asyncio.create_task(self._tell_all(), name="wake-ups")

    async def close(self) -> None:
        """Sends the pending wake-ups, then stops."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        if self._untold:
            with suppress(*self._failures):
                async with asyncio.timeout(LAST_WORD_S):
                    await self._tell(sorted(self._untold))

    async def _tell_all(self) -> None:
        try:
            await asyncio.sleep(ANSWER_FIRST_S)
            while self._untold:
                channels, self._untold = self._untold, set()
                try:
                    with suppress(*self._failures):  # those who wait look by themselves after a while
                        await self._tell(sorted(channels))
                except asyncio.CancelledError:
                    self._untold |= channels
                    raise
                await asyncio.sleep(self._pause_s)
        finally:
            self._telling = None
