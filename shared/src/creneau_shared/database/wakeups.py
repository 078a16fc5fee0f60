"""Whoever waits for rows is woken by the commit that brings them, in whatever process that is.

A transaction says what it brings (`closing.announce`). Once it has committed, and not before, the bells of its own
process are rung, and the other processes are told over a connection that nobody waits for. PostgreSQL's NOTIFY within
the transaction itself would let one transaction of the server commit at a time; this one is seldom and carries nothing.

A wake-up may be lost: the process can die after its commit, the listener's connection with it. So whoever waits looks
again after some time anyhow, and a bell only says when to look earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

TELL = """
SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, '') FROM unnest($1::text[]) AS given (channel)"""
"""A lost wake-up costs a moment: nobody waits until this one is on disk."""

ANSWER_FIRST_S = 0.003
"""Whoever asked for what was committed has the answer before others begin to work on it."""
LAST_WORD_S = 1.0
"""how long a process that ends takes to tell what it has committed last"""

Tell = Callable[[list[str]], Awaitable[object]]
"""Tells all processes that listen that something has come on these channels. May raise what `failures` names."""


async def either(*events: asyncio.Event, timeout_s: float | None) -> None:
    """Until one of the events is set, or so many seconds are over (None: as long as it takes)."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Bell:
    """Rung when something has come on one channel.

    Remember `rung` before looking whether something is there, and `wait` since then: what comes meanwhile is not missed.
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
        """Until it is rung (or was, after `since`), `stop` is set or so many seconds are over (None: as long as it
        takes)."""
        if self.rung != since or stop.is_set() or (seconds is not None and seconds <= 0):
            return
        await either(self._next, stop, timeout_s=seconds)


class Bells:
    """The bells of one process for one database, by channel, and how it rings those of the others."""

    def __init__(self, tell: Tell, *, failures: tuple[type[Exception], ...], pause_s: float) -> None:
        """`pause_s`: between two tellings; what is to be told within it is told once."""
        self._tell = tell
        self._failures = failures
        self._pause_s = pause_s
        self._bells: dict[str, Bell] = {}
        self.asked_for = asyncio.Event()
        """set when somebody asks for a bell that there was not; whoever listens clears it"""
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
        """The channels for which somebody here has asked for a bell."""
        return tuple(self._bells)

    def ring_all(self) -> None:
        """Something may have come on any channel."""
        for bell in self._bells.values():
            bell.ring()

    def announce(self, channels: Collection[str]) -> None:
        """Something has been committed for these: ring here, at once, and everywhere else as soon as may be."""
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
                    with suppress(*self._failures):  # whoever waits looks by itself after a while
                        await self._tell(sorted(channels))
                except asyncio.CancelledError:
                    self._untold |= channels
                    raise
                await asyncio.sleep(self._pause_s)
        finally:
            self._telling = None
