"""The outbox: events written in the transaction of their change.

Order per key: the transaction must lock the aggregate's row before it closes (an UPDATE or INSERT of it does). Then
two transactions on one aggregate get their positions in the order in which they commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

from creneau_shared.database.closing import ClosingInsert, announce
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
}
"""Storage parameters for a table that grows and shrinks by the day: autovacuum by number of rows, not by share."""
FILLFACTOR = "50"
"""Each event is written once more, when it is published. On its own page only what changes of it is logged."""

OUTBOX_CHANNEL = "creneau_outbox"
"""the channel that wakes the relay; code that writes to the outbox without `append` must announce on it"""

OUTBOX_INSERT = ClosingInsert(
    "outbox",
    (
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
    ),
    ("uuid", "text", "text", "text", "text", "text", "bytea", "timestamptz", "text", "text"),
)


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
        # Generated here only, and never searched for: no index.
        Column("event_id", Uuid, nullable=False),
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
        postgresql_with={**AUTOVACUUM, "fillfactor": FILLFACTOR},
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


async def append(connection: Connection, events: Sequence[Event]) -> None:
    """Writes `events` into the outbox, in this order, in the connection's transaction.

    Raises ValueError at once for an event that is too long.
    """
    await OUTBOX_INSERT.run(connection, [_row(event) for event in events])
    if events:
        announce(connection, OUTBOX_CHANNEL)


def _row(event: Event) -> tuple[Any, ...]:
    return (
        event.id,
        event.topic,
        event.key,
        event.type,
        event.subject,
        event.source,
        event.value(),
        event.time,
        event.correlation_id,
        event.traceparent,
    )
