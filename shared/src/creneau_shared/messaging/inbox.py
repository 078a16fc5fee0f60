"""The inbox: the events that a consumer has already handled.

The row is written in the transaction of the effect, so that an event has its effect exactly once, however
often it arrives.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, Table, Text, Uuid, text

from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging.buried import dead_letter_table
from creneau_shared.messaging.outbox import AUTOVACUUM

PRUNE_ROWS = 10_000
REBUILD = -1
REWOUND = -2


def inbox_table(metadata: MetaData) -> Table:
    """Declare `inbox` and `inbox_log` in `metadata`; return `inbox`.

    `inbox`: one row for each consumer and event handled.
    `inbox_log`: how far each consumer has handled each partition, and in which generation of the log. A record of a
    later generation means that the broker had lost records and was filled again: the log is then read from its
    beginning. Generation `REBUILD` orders the same by command. `REWOUND`: the rewind is done and no record was handled
    since; the next record of any generation begins the log.
    Also declares the tables of `rebuild` and `buried`.
    """
    table = Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
        Index("ix_inbox_handled_at", "handled_at", postgresql_using="brin"),
        postgresql_with=AUTOVACUUM,
    )
    Table(
        "inbox_log",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("generation", Integer, nullable=False),
        postgresql_with={"fillfactor": "50"},
    )
    _rebuild_tables(metadata)
    dead_letter_table(metadata)
    return table


def _rebuild_tables(metadata: MetaData) -> None:
    """Declares `rebuild` and `rebuild_key` in `metadata`.

    `rebuild`: the partitions to be read before anything is forgotten, and up to which offset (NULL: not rewound yet).
    `rebuild_key`: the marks.
    """
    Table(
        "rebuild",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("until", BigInteger, nullable=True),
    )
    Table(
        "rebuild_key",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("key", Text(collation="C"), primary_key=True),
    )


async def first_time(connection: Connection, consumer: str, event_id: UUID) -> bool:
    """Records this event as handled by `consumer`, in the transaction; True if it was not handled before."""
    return bool(await first_times(connection, consumer, [event_id]))


async def first_times(connection: Connection, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """As `first_time` for several events, in one statement; returns the ids not handled before."""
    if not event_ids:
        return set()
    rows = await connection.fetch(
        "INSERT INTO inbox (consumer, event_id) "
        "SELECT $1, event_id FROM unnest($2::uuid[]) AS event (event_id) "
        "ON CONFLICT DO NOTHING RETURNING event_id",
        consumer,
        list(event_ids),
    )
    return {row["event_id"] for row in rows}


async def forget(connection: Connection, consumer: str, event_ids: Collection[UUID]) -> None:
    """Removes these events from the inbox of `consumer`: it did not handle them after all, and will read them again."""
    await connection.execute(
        "DELETE FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])", consumer, list(event_ids)
    )


async def prune(database: Database, consumer: str, before: datetime) -> int:
    """Deletes the inbox rows of `consumer` from before this instant; returns their number.

    `before` must lie further back than producers keep published events, or a refilled log would repeat effects.
    """
    pruned = 0
    while True:
        status = await database.pool.execute(
            "DELETE FROM inbox WHERE consumer = $1 AND event_id IN "
            "(SELECT event_id FROM inbox WHERE consumer = $1 AND handled_at < $2 LIMIT $3)",
            consumer,
            before,
            PRUNE_ROWS,
        )
        rows = int(status.rpartition(" ")[2])
        pruned += rows
        if rows < PRUNE_ROWS:
            return pruned


async def generations(database: Database, consumer: str) -> dict[tuple[str, int], int]:
    """Partition → the generation that `consumer` reads; `REBUILD` if it must be read from the beginning."""
    rows = await database.pool.fetch(
        "SELECT topic, partition, generation FROM inbox_log WHERE consumer = $1 AND generation <> $2",
        consumer,
        REWOUND,
    )
    return {(row["topic"], row["partition"]): row["generation"] for row in rows}


async def handled(database: Database, consumer: str, topic: str, partition: int) -> int:
    """The last offset of a partition that `consumer` has handled; -1 when there is none."""
    found = await database.pool.fetchval(
        "SELECT log_offset FROM inbox_log WHERE consumer = $1 AND topic = $2 AND partition = $3",
        consumer,
        topic,
        partition,
    )
    return -1 if found is None else int(found)


async def advance(
    connection: Connection, consumer: str, reached: Mapping[tuple[str, int], tuple[int, int]]
) -> bool:
    """Records how far partitions (topic, number) are handled: last offset, and generation of the log. Returns False if a
    rebuild is ordered for one of them; then the transaction must not commit."""
    places = sorted(reached)
    recorded = await connection.fetch(
        "INSERT INTO inbox_log (consumer, topic, partition, log_offset, generation) "
        "SELECT $1, * FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::integer[]) "
        "ON CONFLICT (consumer, topic, partition) DO UPDATE SET log_offset = excluded.log_offset, "
        "generation = greatest(inbox_log.generation, excluded.generation) "
        "WHERE inbox_log.generation <> $6 RETURNING true",
        consumer,
        [topic for topic, _ in places],
        [partition for _, partition in places],
        [reached[place][0] for place in places],
        [reached[place][1] for place in places],
        REBUILD,
    )
    return len(recorded) == len(places)


async def restart(
    connection: Connection, consumer: str, topic: str, partition: int, generation: int | None
) -> None:
    """Records that a partition is read from its beginning, as a log of `generation` (None: any). Keeps how far it had been
    handled: a rebuild reads all partitions of which records were handled."""
    await connection.execute(
        "UPDATE inbox_log SET generation = $4 WHERE consumer = $1 AND topic = $2 AND partition = $3",
        consumer,
        topic,
        partition,
        REWOUND if generation is None else generation,
    )
