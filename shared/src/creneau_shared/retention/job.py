"""The job that removes data whose retention has ended, class by class, and makes partitions for the coming months.

It works in batches, each a short transaction that skips locked rows, so that nobody waits for it. Any number of workers
may run it at once. The removed amounts are in the log, in a metric and in the table `retention_report`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog
from prometheus_client import Counter
from sqlalchemy import BigInteger, Column, Date, DateTime, MetaData, Table, Text

from creneau_shared.clock import Clock
from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.partitions import drop_months, make_months
from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging.waiting import every, wait
from creneau_shared.retention.rules import Rule
from creneau_shared.retention.settings import RetentionSettings

REMOVED = Counter(
    "creneau_retention_removed", "Rows removed because their time of keeping is over", ["data_class"]
)
FAILED = Counter(
    "creneau_retention_failed", "Rounds of retention that failed for a class of data", ["data_class"]
)

log = structlog.get_logger(__name__)


def retention_report_table(metadata: MetaData) -> Table:
    """`retention_report`: for each day and class of data the removed amount, and the instant before which it was removed."""
    return Table(
        "retention_report",
        metadata,
        Column("day", Date, primary_key=True),
        Column("data_class", Text, primary_key=True),
        Column("setting", Text, nullable=False),
        Column("kept_from", DateTime(timezone=True), nullable=False),
        Column("removed", BigInteger, nullable=False),
        Column("last_run_at", DateTime(timezone=True), nullable=False),
    )


class Retention:
    """Applies the retention rules of one service at each interval."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        rules: Sequence[Rule],
        settings: RetentionSettings | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._rules = tuple(rules)
        self._settings = settings or RetentionSettings()

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self._rules

    async def run(self, stop: asyncio.Event) -> None:
        """Make months ready and apply the rules at each interval until `stop` is set."""

        async def once() -> None:
            await self.make_ready()
            await self.apply(stop)

        await every(self._settings.retention_interval_s, once, stop)

    async def make_ready(self) -> int:
        """Makes the partitions of the coming months; returns how many. A failure of one table is logged; its rows go to
        its default partition meanwhile."""
        made, now = 0, self._clock.now()
        for table in dict.fromkeys(rule.months_of for rule in self._rules if rule.months_of):
            try:
                async with self._database.connection() as connection:
                    made += await make_months(connection, table, now, self._settings.partition_months_ahead)
            except DATABASE_FAILURES as error:
                log.warning("months not made ready", table=table, error=type(error).__name__)
        return made

    async def apply(self, stop: asyncio.Event | None = None) -> dict[str, int]:
        """Applies all rules once; returns class of data → removed amount. A failing class is logged; the others go on."""
        removed: dict[str, int] = {}
        for rule in self._rules:
            before = self._clock.now() - rule.kept
            try:
                removed[rule.data_class] = await self._apply(rule, before, stop or asyncio.Event())
            except DATABASE_FAILURES as error:
                FAILED.labels(rule.data_class).inc()
                log.warning("retention failed", data_class=rule.data_class, error=type(error).__name__)
        log.info("retention applied", removed={name: count for name, count in removed.items() if count})
        return removed

    async def _apply(self, rule: Rule, before: datetime, stop: asyncio.Event) -> int:
        total, limit = 0, self._settings.retention_batch_rows
        while True:
            async with self._database.transaction() as connection:
                removed = await rule.remove(connection, before, limit)
                await self._report(connection, rule, before, removed)
            REMOVED.labels(rule.data_class).inc(removed)
            total += removed
            if removed < limit:
                return total + await self._drop(rule, before)
            if await wait(stop, self._settings.retention_pause_s):
                return total

    async def _drop(self, rule: Rule, before: datetime) -> int:
        """Drops the months that have wholly expired, in a transaction of its own, since its lock blocks everybody."""
        if rule.months_of is None:
            return 0
        async with self._database.transaction() as connection:
            dropped = await drop_months(connection, rule.months_of, before)
            if dropped.partitions:
                await self._report(connection, rule, before, dropped.rows)
        REMOVED.labels(rule.data_class).inc(dropped.rows)
        return dropped.rows

    async def _report(self, connection: Connection, rule: Rule, before: datetime, removed: int) -> None:
        now = self._clock.now()
        await connection.execute(
            "INSERT INTO retention_report AS report (day, data_class, setting, kept_from, removed, last_run_at)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (day, data_class) DO UPDATE SET"
            " setting = excluded.setting, kept_from = excluded.kept_from,"
            " removed = report.removed + excluded.removed, last_run_at = excluded.last_run_at",
            now.date(),
            rule.data_class,
            rule.setting,
            before,
            removed,
            now,
        )
