"""CloudEvents 1.0, Kafka protocol binding, binary content mode: attributes are headers, data is the value.

Source: CloudEvents Kafka Protocol Binding 1.0.2 section 3.2; the extensions `partitionkey` (partitioning),
`traceparent` (distributed tracing), and our own `correlationid` and `generation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord

from creneau_shared.messaging.events import ReceivedEvent

SPECVERSION = "1.0"
GENERATION_DIGITS_MAX = 9
"""any number of so many digits fits a four-byte integer column"""
CONTENT_TYPE = "application/json"

Headers = list[tuple[str, bytes]]


class UnreadableEvent(ValueError):  # noqa: N818 - named for what it is
    """The record is no CloudEvent in binary mode, or its data is no JSON object."""


def headers(
    *,
    event_id: UUID,
    source: str,
    event_type: str,
    subject: str,
    time: datetime,
    key: str,
    correlation_id: str | None,
    traceparent: str | None,
    generation: int,
) -> Headers:
    """The headers of one event."""
    pairs = [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", SPECVERSION),
        ("ce_id", str(event_id)),
        ("ce_source", source),
        ("ce_type", event_type),
        ("ce_subject", subject),
        ("ce_time", time.isoformat()),
        ("ce_partitionkey", key),
        ("ce_generation", str(generation)),
    ]
    if correlation_id is not None:
        pairs.append(("ce_correlationid", correlation_id))
    if traceparent is not None:
        pairs.append(("ce_traceparent", traceparent))
    return [(name, value.encode()) for name, value in pairs]


def generation(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """The generation of the log in which a record was written; 1 if it is missing or no valid number, since records are
    asked before they are known to be events."""
    for name, content in headers:
        if (
            name == "ce_generation"
            and content
            and content.isdigit()
            and len(content) <= GENERATION_DIGITS_MAX
        ):
            return int(content)
    return 1


def read(record: ConsumerRecord, topic: str | None = None) -> ReceivedEvent:
    """The event of one Kafka record; `topic`: its original topic, if the record is on another one. Raises
    UnreadableEvent."""
    try:
        found = {name.lower(): content.decode() for name, content in record.headers if content is not None}
        if found["ce_specversion"] != SPECVERSION:
            raise UnreadableEvent(f"CloudEvents version {found['ce_specversion']} is not read here")
        data = None if record.value is None else orjson.loads(record.value)
        if data is not None and not isinstance(data, dict):
            raise UnreadableEvent("the data is no JSON object")
        return ReceivedEvent(
            topic=topic or record.topic,
            key=found["ce_partitionkey"],
            type=found["ce_type"],
            subject=found.get("ce_subject", ""),
            source=found["ce_source"],
            data=data,
            time=datetime.fromisoformat(found["ce_time"]),
            id=UUID(found["ce_id"]),
            correlation_id=found.get("ce_correlationid"),
            traceparent=found.get("ce_traceparent"),
            partition=record.partition,
            offset=record.offset,
            raw=record.value,
            generation=generation(record.headers),
        )
    except KeyError as error:
        raise UnreadableEvent(f"the header {error.args[0]} is missing") from error
    except UnreadableEvent:
        raise
    except ValueError as error:
        raise UnreadableEvent(f"{type(error).__name__} in the headers or the data") from error
