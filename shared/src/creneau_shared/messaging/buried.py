"""The table of dead letters for operators: which there are, why, and their state. Their content stays on their topic, and
no answer shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from aiokafka import ConsumerRecord
from prometheus_client import Gauge
from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, Table, Text, Uuid, text

from creneau_shared.database.pool import Connection

State = Literal["waiting", "replayed", "discarded", "lost"]
"""`lost`: the record of the letter is no longer on its topic"""

LETTERS_MAX = 1_000
"""most letters returned at once"""
REASON_CHARACTERS_MAX = 500
TYPE_CHARACTERS_MAX = 200

WAITING = Gauge(
    "creneau_dead_letters_waiting",
    "Dead letters that nobody has replayed or discarded",
    ["consumer", "topic"],
)

_COLUMNS = "id, consumer, topic, partition, log_offset, dead_offset, type, reason, attempts, buried_at, state, closed_at, why"
_KEEP = f"""
INSERT INTO dead_letter ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', NULL, NULL)
ON CONFLICT (id) DO UPDATE SET dead_offset = excluded.dead_offset, reason = excluded.reason,
  attempts = dead_letter.attempts + excluded.attempts, buried_at = excluded.buried_at, state = 'waiting',
  closed_at = NULL, why = NULL
"""


def dead_letter_table(metadata: MetaData) -> Table:
    """Declares `dead_letter` in `metadata`: a row for each letter, with the consumer that could not handle it."""
    return Table(
        "dead_letter",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("consumer", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("log_offset", BigInteger, nullable=False),
        # Its offset on the dead-letter topic, which has one partition.
        Column("dead_offset", BigInteger, nullable=False),
        Column("type", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("buried_at", DateTime(timezone=True), nullable=False),
        Column("state", Text, nullable=False, server_default=text("'waiting'")),
        Column("closed_at", DateTime(timezone=True)),
        Column("why", Text),
        Index("ix_dead_letter_waiting", "buried_at", postgresql_where=text("state = 'waiting'")),
    )


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, without its content."""

    id: UUID
    consumer: str
    topic: str
    partition: int
    offset: int
    """offset of the unhandled record on its own topic"""
    dead_offset: int
    type: str
    reason: str
    """the class of the failure, never its text"""
    attempts: int
    buried_at: datetime
    state: State = "waiting"
    closed_at: datetime | None = None
    why: str | None = None


def letter_id(consumer: str, topic: str, partition: int, offset: int, event: str = "") -> UUID:
    """The id of the letter of one record; the same when the record is buried again. `event`: the event's own id, for after
    a log has been lost another record stands at the same place."""
    place = f"dead-letter/{consumer}/{topic}/{partition}/{offset}"
    return uuid5(NAMESPACE_URL, f"{place}/{event}" if event else place)


def letter_of_record(consumer: str, record: ConsumerRecord, topic: str) -> UUID:
    """The id of the letter of a record that has failed for the first time."""
    return letter_id(consumer, topic, record.partition, record.offset, _header(record, "ce_id"))


def letter_of(
    id_: UUID,
    consumer: str,
    record: ConsumerRecord,
    error: BaseException,
    *,
    topic: str,
    dead_offset: int,
    attempts: int,
    at: datetime,
) -> Letter:
    """The letter of a record of `topic` that could not be handled, with its copy at `dead_offset` of the dead-letter
    topic."""
    return Letter(
        id=id_,
        consumer=consumer,
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        dead_offset=dead_offset,
        type=_header(record, "ce_type")[:TYPE_CHARACTERS_MAX],
        reason=type(error).__name__,
        attempts=attempts,
        buried_at=at,
    )


def _header(record: ConsumerRecord, name: str) -> str:
    """A header of the event; empty when it is missing."""
    value = next((value for key, value in record.headers if key == name and value), b"")
    return str(value.decode("utf-8", "replace"))


async def keep(connection: Connection, letter: Letter) -> None:
    """Stores a letter as waiting; a letter buried again becomes waiting again."""
    await connection.execute(
        _KEEP,
        letter.id,
        letter.consumer,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.dead_offset,
        letter.type,
        letter.reason,
        letter.attempts,
        letter.buried_at,
    )


async def waiting(connection: Connection) -> list[Letter]:
    """The waiting letters, the oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM dead_letter WHERE state = 'waiting' ORDER BY buried_at, id LIMIT $1",
        LETTERS_MAX,
    )
    return [Letter(*row) for row in rows]


async def locked(connection: Connection, id_: UUID) -> Letter | None:
    """One letter, with its row locked so that nobody else closes it; None if there is none."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM dead_letter WHERE id = $1 FOR UPDATE", id_)
    return Letter(*row) if row is not None else None


async def close(
    connection: Connection, ids: Sequence[UUID], state: State, now: datetime, why: str | None = None
) -> None:
    """Sets the final state of letters."""
    await connection.execute(
        "UPDATE dead_letter SET state = $2, closed_at = $3, why = $4 WHERE id = ANY($1::uuid[])",
        list(ids),
        state,
        now,
        why,
    )


async def discarded(connection: Connection, ids: Sequence[UUID]) -> frozenset[UUID]:
    """The discarded ones of these letters."""
    rows = await connection.fetch(
        "SELECT id FROM dead_letter WHERE id = ANY($1::uuid[]) AND state = 'discarded'", list(ids)
    )
    return frozenset(row["id"] for row in rows)


async def measure(connection: Connection) -> None:
    """Measures the number of waiting letters; 0 where there were some before, whatever became of them."""
    rows = await connection.fetch(
        "SELECT consumer, topic, count(*) AS waiting FROM dead_letter WHERE state = 'waiting' GROUP BY 1, 2"
    )
    found = {(row["consumer"], row["topic"]): row["waiting"] for row in rows}
    told = [sample.labels for metric in WAITING.collect() for sample in metric.samples]
    for place in {(labels["consumer"], labels["topic"]) for labels in told} | found.keys():
        WAITING.labels(*place).set(found.get(place, 0))


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Deletes letters that were buried before the instant; returns how many."""
    status: str = await connection.execute(
        "DELETE FROM dead_letter WHERE id IN"
        " (SELECT id FROM dead_letter WHERE buried_at < $1 ORDER BY buried_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before,
        limit,
    )
    return int(status.rpartition(" ")[2])
