"""The retention rules that every service has, and the DELETE that most of them use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_shared.database.partitions import remainders
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.retention.settings import RetentionSettings

Remove = Callable[[Connection, datetime, int], Awaitable[int]]
"""(connection, before, limit) → rows removed: at most `limit` rows from before the instant, in the transaction."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One class of data: its retention period, the setting of it, and how it is removed."""

    data_class: str
    setting: str
    kept: timedelta
    remove: Remove
    months_of: str | None = None
    """the table whose wholly expired months are dropped, after `remove`"""


def removing(table: str, by: str, *, only: str = "true") -> Remove:
    """Removes rows of `table` whose column `by` lies before the instant, the oldest first; skips locked rows.

    `by` needs an index in that order. `table` is one plain table or one partition, since rows are named by `ctid`.
    """
    statement = (
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {by} < $1 AND {only}"
        f" ORDER BY {by} LIMIT $2 FOR UPDATE SKIP LOCKED))"
    )

    async def remove(connection: Connection, before: datetime, limit: int) -> int:
        status: str = await connection.execute(statement, before, limit)
        return int(status.rpartition(" ")[2])

    return remove


def outside_months(table: str, one_by_one: Callable[[str], Remove]) -> Remove:
    """Removes the rows in partitions of `table` that are no months; `one_by_one(partition)` removes them."""

    async def remove(connection: Connection, before: datetime, limit: int) -> int:
        removed = 0
        for partition in await remainders(connection, table, before):
            removed += await one_by_one(partition)(connection, before, limit - removed)
            if removed >= limit:
                break
        return removed

    return remove


def superseded_versions(resource_types: Sequence[str]) -> Remove:
    """Removes versions outside the months that were replaced before the instant. The time of the successor counts, since
    rows from before the partitioning do not say when they were replaced.

    For a version without successor in the tables, its own time counts: its resource was removed.
    """

    def one_by_one(partition: str) -> Remove:
        async def remove(connection: Connection, before: datetime, limit: int) -> int:
            removed = 0
            for resource_type in resource_types:
                removed += await _superseded_of(connection, partition, resource_type, before, limit - removed)
                if removed >= limit:
                    break
            return removed

        return remove

    return outside_months("resource_history", one_by_one)


async def _superseded_of(
    connection: Connection, partition: str, resource_type: str, before: datetime, limit: int
) -> int:
    main = table_name(resource_type)
    status: str = await connection.execute(
        f"DELETE FROM {partition} AS past WHERE (resource_type, id, version) IN"
        f" (SELECT past.resource_type, past.id, past.version FROM {partition} AS past"
        f" LEFT JOIN {main} AS present ON present.id = past.id"
        " LEFT JOIN resource_history AS next ON next.resource_type = $1 AND next.id = past.id"
        " AND next.version = past.version + 1"
        " WHERE past.resource_type = $1 AND past.last_updated < $2"
        " AND coalesce(next.last_updated, present.last_updated, past.last_updated) < $2"
        " ORDER BY past.last_updated LIMIT $3 FOR UPDATE OF past SKIP LOCKED)",
        resource_type,
        before,
        limit,
    )
    return int(status.rpartition(" ")[2])


WHOLE_MONTH = timedelta(days=31)
"""how much longer, at most, a row is kept until its whole month has expired"""


def common_rules(settings: RetentionSettings, resource_types: Sequence[str]) -> list[Rule]:
    """The rules of every service: trail, superseded versions, asynchronous answers, and the retention reports."""
    asynchronous = AsyncSettings()
    return [
        Rule(
            "audit",
            "AUDIT_KEPT_DAYS",
            timedelta(days=settings.audit_kept_days),
            outside_months("audit", lambda partition: removing(partition, "recorded")),
            months_of="audit",
        ),
        Rule(
            "superseded-versions",
            "SUPERSEDED_KEPT_DAYS",
            timedelta(days=settings.superseded_kept_days),
            superseded_versions(resource_types),
            months_of="resource_history",
        ),
        Rule(
            "async-answers",
            "ASYNC_ANSWER_KEPT_H",
            timedelta(hours=asynchronous.async_answer_kept_h),
            removing("async_request", "finished_at"),
        ),
        Rule(
            "rate-buckets",
            "RATE_BUCKET_KEPT_H",
            timedelta(hours=settings.rate_bucket_kept_h),
            removing("rate_bucket", "at"),
        ),
        Rule(
            "retention-reports",
            "RETENTION_REPORT_KEPT_DAYS",
            timedelta(days=settings.retention_report_kept_days),
            removing("retention_report", "day"),
        ),
    ]


def idempotency_rule(settings: RetentionSettings) -> Rule:
    """The rule of services that accept writes."""
    return Rule(
        "idempotency-keys",
        "IDEMPOTENCY_KEPT_H",
        timedelta(hours=settings.idempotency_kept_h),
        removing("idempotency", "created_at"),
    )
