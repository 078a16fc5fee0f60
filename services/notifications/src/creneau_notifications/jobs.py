"""Periodic jobs: forget erased people once they have been told, and delete what is past keeping."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from creneau_notifications.delivery.metrics import OVERDUE
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage import addresses, appointments, codes, departures, facts, messages, words
from creneau_notifications.storage.communications import Communications
from creneau_shared.clock import Clock
from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Connection, Database
from creneau_shared.logging import describe
from creneau_shared.messaging import buried
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.waiting import every
from creneau_shared.retention.rules import Rule, common_rules
from creneau_shared.retention.settings import RetentionSettings

DEPARTURES_MAX = 100

log = structlog.get_logger(__name__)


class Departures:
    """Forgets erased people once their cancellations have left, or at the deadline."""

    def __init__(self, database: Database, clock: Clock, interval_s: float) -> None:
        self._database = database
        self._clock = clock
        self._interval_s = interval_s

    async def run(self, stop: asyncio.Event) -> None:
        """Look at each interval until `stop` is set."""
        await every(self._interval_s, self.forget_due, stop)

    async def forget_due(self) -> int:
        """Forget those who can be forgotten now, each in a transaction of its own; returns how many.

        If one fails, it waits for the next look and blocks nobody else.
        """
        forgotten = 0
        failed: set[str] = set()
        while forgotten < DEPARTURES_MAX:
            reference = None
            try:
                async with self._database.transaction() as connection:
                    for reference in await departures.due(connection, self._clock.now(), 1, failed):
                        count = await departures.forget(connection, reference, self._clock.now())
            except DATABASE_FAILURES as error:
                if reference is None:
                    raise
                failed.add(reference)
                log.error("person not forgotten", person=reference, error=describe(error))
                continue
            if reference is None:
                break
            forgotten += 1
            log.info("person forgotten", person=reference, messages=count)
        return forgotten


class Watch:
    """Measures what an operator watches: messages past their time, and dead letters."""

    def __init__(self, database: Database, clock: Clock, interval_s: float) -> None:
        self._database = database
        self._clock = clock
        self._interval_s = interval_s

    async def run(self, stop: asyncio.Event) -> None:
        """Look at each interval until `stop` is set."""
        await every(self._interval_s, self.look, stop)

    async def look(self) -> None:
        """Count the messages that have become useless before they left, and the dead letters."""
        async with self._database.connection() as connection:
            OVERDUE.set(await messages.count_overdue(connection, self._clock.now()))
            await buried.measure(connection)


def rules(
    settings: NotificationsSettings, communications: Communications, common: RetentionSettings
) -> list[Rule]:
    """How long notifications keeps what."""
    kept = timedelta(days=settings.message_retention_days)

    async def remove_messages(connection: Connection, before: datetime, limit: int) -> int:
        ids = await messages.prune(connection, before, limit)
        await communications.remove(connection, [str(id_) for id_ in ids])
        return len(ids)

    letters_kept = timedelta(days=MessagingSettings().dead_letter_retention_days)
    counted = timedelta(days=settings.unconfirmed_count_days)

    async def remove_counts(connection: Connection, before: datetime, limit: int) -> int:
        return await addresses.prune(connection, before + counted, counted)

    return [
        Rule("one-time-codes", "CODES_KEPT_H", timedelta(hours=settings.codes_kept_h), codes.prune),
        Rule("address-counts", "UNCONFIRMED_COUNT_DAYS", counted, remove_counts),
        Rule(
            "deleted-facts",
            "DELETED_FACTS_KEPT_DAYS",
            timedelta(days=settings.deleted_facts_kept_days),
            facts.prune,
        ),
        Rule("messages", "MESSAGE_RETENTION_DAYS", kept, remove_messages),
        Rule("told-appointments", "MESSAGE_RETENTION_DAYS", kept, appointments.prune),
        Rule("dead-letters", "DEAD_LETTER_RETENTION_DAYS", letters_kept, buried.prune),
        Rule("last-words", "DEAD_LETTER_RETENTION_DAYS", letters_kept, words.prune),
        *common_rules(common, ("Communication",)),
    ]
