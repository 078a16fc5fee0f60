"""An event as it is sent: a CloudEvents 1.0 event with its Kafka topic and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson

from creneau_shared.ids import new_uuid

EVENT_BYTES_MAX = 900_000
"""Longest data of one event, bytes: under the 1 MiB that brokers and producers accept by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, to be written into the outbox.

    `key` is the aggregate's id: events of one key arrive in the order in which they were appended. `type`
    carries the major version (`fr.creneau.booking.appointment.booked.v1`); `subject` names the resource
    (`Appointment/0199…`); `source` is the producing service as a URI reference (`/creneau/booking`). `data`
    is JSON, or None for a tombstone (the key is gone; on a compacted topic the broker forgets it).
    `correlation_id` and `traceparent` (W3C) tie the event to the request that caused it.
    """

    topic: str
    key: str
    type: str
    subject: str
    source: str
    data: Mapping[str, object] | None
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: UUID = field(default_factory=new_uuid)
    correlation_id: str | None = None
    traceparent: str | None = None

    def value(self) -> bytes | None:
        """The data as compact JSON bytes; None for a tombstone.

        Raises ValueError when longer than `EVENT_BYTES_MAX`: this refuses the change that makes the event, rather than
        blocking the head of the outbox later.
        """
        if self.data is None:
            return None
        value = orjson.dumps(self.data)
        if len(value) > EVENT_BYTES_MAX:
            raise ValueError(f"event {self.type} holds {len(value)} bytes, over {EVENT_BYTES_MAX}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent(Event):
    """One event as a consumer's handler gets it, with its place in the log.

    `raw` is the received value in bytes; None for a tombstone. `generation` grows each time the producer had to
    fill the log again.
    """

    partition: int
    offset: int
    raw: bytes | None
    generation: int = 1
