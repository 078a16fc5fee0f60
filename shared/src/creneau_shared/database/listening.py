"""Wakes a worker for commits of other processes: one session listens (LISTEN) and rings the bells of its own process.

Now and then the session notifies itself. A session hears nothing if its server vanished silently, or if a pooler gives
it another server for each transaction. Then another session is opened. Meanwhile those who wait look by themselves after
their longest pause.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
import structlog
from prometheus_client import Gauge

from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Connection, Database
from creneau_shared.database.wakeups import either

OWN_CHANNEL = "creneau_hearing"
HEARD_WITHIN_S = 5.0
"""A session that has not heard its own notification by then is taken for deaf."""
RETRY_MIN_S = 0.5
RETRY_MAX_S = 5.0

HEARS = Gauge("creneau_wakeups_heard", "1 while this process is woken by what others commit")

log = structlog.get_logger(__name__)


class DeafError(Exception):
    """The session does not hear its own notification."""


FAILURES: tuple[type[Exception], ...] = (DeafError, *DATABASE_FAILURES)
"""after which another session is tried"""


class Listening:
    """Listens on the channels of every bell of `database`, including those requested while it listens."""

    def __init__(self, database: Database, check_interval_s: float) -> None:
        self._database = database
        self._check_interval_s = check_interval_s
        self._lost = asyncio.Event()
        self._heard = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Listens until `stop`; opens another session whenever one is lost."""
        pause_s = RETRY_MIN_S
        while not stop.is_set():
            try:
                async with self._database.connection() as connection:
                    await self._listen(connection)
                    try:
                        await self._say_something(connection)
                        pause_s = RETRY_MIN_S
                        await self._while_it_hears(connection, stop)
                    finally:
                        HEARS.set(0)
                        await self._listen_no_more(connection)
            except FAILURES as error:
                log.warning("wake-ups are not heard", error=type(error).__name__, again_in_s=pause_s)
                await either(stop, timeout_s=pause_s)
                pause_s = min(pause_s * 2, RETRY_MAX_S)

    async def _while_it_hears(self, connection: Connection, stop: asyncio.Event) -> None:
        HEARS.set(1)
        # From now on no wake-up is missed; an earlier one may have been.
        bells = self._database.bells
        bells.ring_all()
        while not stop.is_set():
            await either(stop, self._lost, bells.asked_for, timeout_s=self._check_interval_s)
            if self._lost.is_set():
                raise ConnectionError("the session that listens is lost")
            if bells.asked_for.is_set():
                await self._listen_to_all(connection)
                bells.ring_all()
            if not stop.is_set():
                await self._say_something(connection)

    async def _say_something(self, connection: Connection) -> None:
        """Notifies this session itself; raises DeafError unless it hears that."""
        self._heard.clear()
        await connection.execute(
            "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, '')", OWN_CHANNEL
        )
        try:
            async with asyncio.timeout(HEARD_WITHIN_S):
                await self._heard.wait()
        except TimeoutError:
            raise DeafError from None

    async def _listen(self, connection: Connection) -> None:
        self._lost.clear()
        connection.add_termination_listener(self._note_loss)
        await self._listen_to_all(connection)

    async def _listen_to_all(self, connection: Connection) -> None:
        """Listens on its own channel and on those of all bells; channels already listened to stay as they are."""
        self._database.bells.asked_for.clear()
        for channel in (OWN_CHANNEL, *self._database.bells.channels):
            await connection.add_listener(channel, self._hear)

    async def _listen_no_more(self, connection: Connection) -> None:
        with suppress(
            asyncpg.InterfaceError, *DATABASE_FAILURES
        ):  # the lost connection has already gone back to its pool
            connection.remove_termination_listener(self._note_loss)
            for channel in (OWN_CHANNEL, *self._database.bells.channels):
                await connection.remove_listener(channel, self._hear)

    def _hear(self, _connection: Any, _pid: int, channel: str, _payload: object) -> None:
        if channel == OWN_CHANNEL:
            self._heard.set()
        else:
            self._database.bells.of(channel).ring()

    def _note_loss(self, _connection: Any) -> None:
        self._lost.set()
