"""What time brings: messages, their Communications and what they told of are not kept for ever."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from creneau_notifications.storage import addresses, appointments, messages
from creneau_notifications.storage.communications import Communications
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.messaging.waiting import wait

BATCH_ROWS = 1000

log = structlog.get_logger(__name__)


class Retention:
    """Deletes what has been kept long enough, in batches."""

    def __init__(
        self,
        database: Database,
        communications: Communications,
        clock: Clock,
        *,
        kept: timedelta,
        counts_kept: timedelta,
        interval_s: float,
    ) -> None:
        self._database = database
        self._communications = communications
        self._clock = clock
        self._kept = kept
        self._counts_kept = counts_kept
        self._interval_s = interval_s

    async def run(self, stop: asyncio.Event) -> None:
        """Prune at each interval until `stop` is set."""
        while not stop.is_set():
            await self.prune()
            await wait(stop, self._interval_s)

    async def prune(self) -> int:
        """Delete what is too old now; how many messages there were."""
        before = self._clock.now() - self._kept
        pruned = 0
        while batch := await self._prune_messages(before):
            pruned += batch
        async with self._database.transaction() as connection:
            while await appointments.prune(connection, before, BATCH_ROWS) == BATCH_ROWS:
                pass
        async with self._database.transaction() as connection:
            await addresses.prune(connection, self._clock.now(), self._counts_kept)
        if pruned:
            log.info("messages pruned", messages=pruned)
        return pruned

    async def _prune_messages(self, before: datetime) -> int:
        async with self._database.transaction() as connection:
            ids = await messages.prune(connection, before, BATCH_ROWS)
            await self._communications.remove(connection, [str(id_) for id_ in ids])
            return len(ids)
