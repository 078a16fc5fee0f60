"""The worker's jobs: retention, and the queued rows of people's search."""

from __future__ import annotations

import asyncio

from creneau_directory.storage import care
from creneau_directory.storage.tables import TYPES
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.messaging.waiting import every
from creneau_shared.retention.job import Retention
from creneau_shared.retention.rules import Rule, common_rules, idempotency_rule
from creneau_shared.retention.settings import RetentionSettings


def rules(common: RetentionSettings) -> list[Rule]:
    """The rules of retention. The entries themselves are public, and kept as long as they are true."""
    return [idempotency_rule(common), *common_rules(common, TYPES)]


def retention(database: Database, clock: Clock) -> Retention:
    """The directory's retention job."""
    settings = RetentionSettings()
    return Retention(database, clock, rules(settings), settings)


class CareIndex:
    """Brings people's search up to date with changes that were queued, or written past the API."""

    def __init__(self, database: Database, clock: Clock, interval_s: float) -> None:
        self._database = database
        self._clock = clock
        self._interval_s = interval_s

    async def run(self, stop: asyncio.Event) -> None:
        """Looks for queued changes at each interval until `stop` is set."""
        await every(self._interval_s, self.enter_due, stop)

    async def enter_due(self) -> int:
        """Rebuilds all rows that are due, batch by batch, except those that somebody else rebuilds now; returns how many."""
        await self._find_due()
        entered, place = 0, care.BEGINNING
        while True:
            async with self._database.transaction() as connection:
                count, last = await care.refresh_due(connection, self._clock.now(), place)
            entered += count
            if last is None:
                return entered
            place = last

    async def _find_due(self) -> None:
        """Takes the queued changes, batch by batch: the situations that depend on them become due."""
        count = care.BATCH
        while count >= care.BATCH:
            async with self._database.transaction() as connection:
                count = await care.find_due(connection)
