"""Retention of the outbox: all events for a while, and of compacted topics the last event of each key for ever.

A retained event can be published again, after the broker has lost it or by command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
import structlog

from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging import metrics
from creneau_shared.messaging.topics import Topic

WINDOW_ROWS = 10_000
AS_LONG_AS_IT_TAKES_S = 24 * 3600.0
"""timeout of a statement on a whole outbox: with a shorter one it would be cancelled and begin again, without end"""

Partition = tuple[str, int]
"""A topic's name and a partition of it."""

SUPERSEDED = """EXISTS (
    SELECT FROM outbox AS newer
    WHERE newer.topic = old.topic AND newer.key = old.key AND newer.position > old.position)"""

log = structlog.get_logger(__name__)


async def requeue(connection: Connection, lost: Mapping[Partition, int], compacted: Sequence[str]) -> int:
    """Marks every retained event that these logs lost as unpublished, in order; returns how many.

    `lost`: partition → the offset at which its log ends now. The topic's generation grows, which tells consumers to read
    it from its beginning.
    """
    requeued = 0
    async with connection.transaction():
        # A lost log is rare and its outbox may be long: finishing matters more than the time it takes.
        await connection.execute("SET LOCAL statement_timeout = 0")
        for (topic, partition), end in lost.items():
            if topic in compacted:
                await _drop_superseded(connection, topic)
            rows = await _count(
                connection,
                "UPDATE outbox SET published_at = NULL, partition = NULL, log_offset = NULL "
                "WHERE topic = $1 AND partition = $2 AND log_offset >= $3",
                topic,
                partition,
                end,
                within_s=AS_LONG_AS_IT_TAKES_S,
            )
            await connection.execute(
                "UPDATE outbox_log SET log_offset = $3 - 1 WHERE topic = $1 AND partition = $2",
                topic,
                partition,
                end,
            )
            log.warning("log lost", topic=topic, partition=partition, end=end, requeued=rows)
            metrics.REQUEUED.labels(topic).inc(rows)
            requeued += rows
        await connection.execute(
            "UPDATE outbox_log SET generation = generation + 1 WHERE topic = ANY($1)",
            sorted({topic for topic, _ in lost}),
        )
    return requeued


async def republish(database: Database, topic: Topic) -> int:
    """Publishes every retained event of `topic` again, by command; returns how many.

    Consumers that have already handled them do nothing; a consumer that should apply them again must be rebuilt first
    (`rebuild.rebuild`).
    """
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        if topic.compacted:
            await _drop_superseded(connection, topic.name)
        return await _count(
            connection,
            "UPDATE outbox SET published_at = NULL, partition = NULL, log_offset = NULL "
            "WHERE topic = $1 AND published_at IS NOT NULL",
            topic.name,
            within_s=AS_LONG_AS_IT_TAKES_S,
        )


async def prune(database: Database, compacted: Sequence[str], before: datetime) -> int:
    """Deletes published events that need not be kept; returns how many.

    Of compacted topics: events superseded by a later one of their key, and tombstones published before `before`. Of
    other topics: all events published before `before`. Walks the table in windows, each a short transaction.
    """
    pruned, position = 0, 0
    while True:
        end = await database.pool.fetchval(
            "SELECT max(position) FROM (SELECT position FROM outbox WHERE position > $1 "
            "ORDER BY position LIMIT $2) AS page",
            position,
            WINDOW_ROWS,
        )
        if end is None:
            return pruned
        pruned += await _count(
            database.pool,
            "DELETE FROM outbox AS old "
            "WHERE position > $1 AND position <= $2 AND published_at IS NOT NULL AND "
            "CASE WHEN topic = ANY($3::text[]) "
            f"THEN (data IS NULL AND published_at < $4) OR {SUPERSEDED} ELSE published_at < $4 END",
            position,
            end,
            list(compacted),
            before,
        )
        position = end


async def _drop_superseded(connection: Connection, topic: str) -> None:
    """Deletes superseded events of a topic: only the last event of a key may be published again, so that an old state
    never follows a new one."""
    await connection.execute(
        f"DELETE FROM outbox AS old WHERE topic = $1 AND published_at IS NOT NULL AND {SUPERSEDED}",
        topic,
        timeout=AS_LONG_AS_IT_TAKES_S,
    )


async def _count(
    connection: Connection | asyncpg.Pool, statement: str, *arguments: object, within_s: float | None = None
) -> int:
    status = await connection.execute(statement, *arguments, timeout=within_s)
    return int(status.rpartition(" ")[2])
