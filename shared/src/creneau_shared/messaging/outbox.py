"""The outbox: events written in the transaction of the change that they tell of.

Order per key: take the aggregate's row lock before appending (an UPDATE or INSERT of the aggregate does), so
that two transactions on one aggregate get their positions in the order in which they commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)

from creneau_shared.database.pool import Connection
from creneau_shared.messaging.events import Event

AUTOVACUUM = {
    "autovacuum_vacuum_scale_factor": "0.0",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_vacuum_insert_scale_factor": "0.0",
    "autovacuum_vacuum_insert_threshold": "50000",
    "autovacuum_analyze_scale_factor": "0.0",
    "autovacuum_analyze_threshold": "20000",
    "autovacuum_vacuum_cost_delay": "0",
    "fillfactor": "80",
}
"""Storage parameters of a table whose rows are all updated once: vacuumed by number of rows, not by share."""

OUTBOX_COLUMNS = (
    "event_id",
    "topic",
    "key",
    "type",
    "subject",
    "source",
    "data",
    "time",
    "correlation_id",
    "traceparent",
)
"""What one event fills in, in this order everywhere below."""

OUTBOX_TYPES = (
    "uuid[]",
    "text[]",
    "text[]",
    "text[]",
    "text[]",
    "text[]",
    "bytea[]",
    "timestamptz[]",
    "text[]",
    "text[]",
)
"""The PostgreSQL types of the arrays that `outbox_arguments` gives."""

OutboxArguments = tuple[
    list[UUID],
    list[str],
    list[str],
    list[str],
    list[str],
    list[str],
    list[bytes | None],
    list[datetime],
    list[str | None],
    list[str | None],
]


def outbox_table(metadata: MetaData) -> Table:
    """Declare `outbox` and `outbox_log` in `metadata`; return `outbox`.

    `outbox`: one row an event. `published_at`, `partition` and `log_offset` are set together once the broker
    has acknowledged it, and unset together when it must be published again.
    `outbox_log`: for each topic and partition the greatest offset that the broker has acknowledged (a log
    that ends before it has lost records) and the log's generation, which grows with each such loss.
    """
    table = Table(
        "outbox",
        metadata,
        Column("position", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("key", Text(collation="C"), nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("data", LargeBinary, nullable=True),
        Column("time", DateTime(timezone=True), nullable=False),
        Column("correlation_id", Text, nullable=True),
        Column("traceparent", Text, nullable=True),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
        Column("published_at", DateTime(timezone=True), nullable=True),
        Column("partition", Integer, nullable=True),
        Column("log_offset", BigInteger, nullable=True),
        Index("ix_outbox_unpublished", "position", postgresql_where=text("published_at IS NULL")),
        Index("ix_outbox_key", "topic", "key", "position"),
        postgresql_with=AUTOVACUUM,
    )
    Table(
        "outbox_log",
        metadata,
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("log_offset", BigInteger, nullable=False),
        Column("generation", Integer, nullable=False, server_default=text("1")),
        postgresql_with={"fillfactor": "50"},
    )
    return table


def outbox_insert(first_parameter: int = 1) -> str:
    """The INSERT of any number of events, for use alone or as a data-modifying CTE of a larger statement.

    It takes the ten arrays of `outbox_arguments` as parameters `$first_parameter` and the following. Rows get
    their positions in the order of the arrays.
    """
    arrays = ", ".join(f"${first_parameter + i}::{kind}" for i, kind in enumerate(OUTBOX_TYPES))
    columns = ", ".join(OUTBOX_COLUMNS)
    return (
        f"INSERT INTO outbox ({columns}) "
        f"SELECT {columns} FROM unnest({arrays}) WITH ORDINALITY AS event ({columns}, ordinality) "
        "ORDER BY ordinality"
    )


OUTBOX_INSERT = outbox_insert()
"""`outbox_insert` with its parameters from $1 to $10."""


def outbox_arguments(events: Sequence[Event]) -> OutboxArguments:
    """The ten arrays that `outbox_insert` takes. Raises ValueError for an event that is too long."""
    return (
        [event.id for event in events],
        [event.topic for event in events],
        [event.key for event in events],
        [event.type for event in events],
        [event.subject for event in events],
        [event.source for event in events],
        [event.value() for event in events],
        [event.time for event in events],
        [event.correlation_id for event in events],
        [event.traceparent for event in events],
    )


async def append(connection: Connection, events: Sequence[Event]) -> None:
    """Write `events` into the outbox, in this order, in the connection's transaction: one statement."""
    if events:
        await connection.execute(OUTBOX_INSERT, *outbox_arguments(events))
