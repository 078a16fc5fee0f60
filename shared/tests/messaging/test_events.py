"""What an event is on the wire, and what is refused."""

from __future__ import annotations

from typing import cast

import pytest
from aiokafka import ConsumerRecord

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import cloudevents
from creneau_shared.messaging.cloudevents import UnreadableEvent
from creneau_shared.messaging.events import EVENT_BYTES_MAX, Event, ReceivedEvent
from creneau_shared.messaging.outbox import append
from creneau_shared.messaging.waiting import backoff_s

EVENT = Event(
    topic="creneau.test",
    key="a",
    type="fr.creneau.test.happened.v1",
    subject="Thing/a",
    source="/creneau/test",
    data={"label": "été"},
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def headers(generation: int = 1) -> cloudevents.Headers:
    return cloudevents.headers(
        event_id=EVENT.id,
        source=EVENT.source,
        event_type=EVENT.type,
        subject=EVENT.subject,
        time=EVENT.time,
        key=EVENT.key,
        correlation_id=EVENT.correlation_id,
        traceparent=EVENT.traceparent,
        generation=generation,
    )


def read(value: bytes | None, pairs: cloudevents.Headers) -> ReceivedEvent:
    return cloudevents.read(
        ConsumerRecord(
            topic="creneau.test",
            partition=3,
            offset=9,
            timestamp=0,
            timestamp_type=0,
            key=None,
            value=value,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=len(value or b""),
            headers=pairs,
        )
    )


def test_headers_are_those_of_the_kafka_protocol_binding() -> None:
    """Binary content mode: `ce_` before each attribute, `content-type` for that of the data."""
    assert {name: value.decode() for name, value in headers(generation=2)} == {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": str(EVENT.id),
        "ce_source": "/creneau/test",
        "ce_type": "fr.creneau.test.happened.v1",
        "ce_subject": "Thing/a",
        "ce_time": EVENT.time.isoformat(),
        "ce_partitionkey": "a",
        "ce_generation": "2",
        "ce_traceparent": EVENT.traceparent,
    }


def test_a_record_reads_back_as_the_event() -> None:
    event = read(EVENT.value(), headers(generation=2))
    assert (event.id, event.data, event.time, event.traceparent) == (
        EVENT.id,
        EVENT.data,
        EVENT.time,
        EVENT.traceparent,
    )
    assert (event.partition, event.offset, event.generation, event.raw) == (3, 9, 2, EVENT.value())


@pytest.mark.parametrize(
    "missing", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion", "ce_partitionkey"]
)
def test_a_record_without_a_required_attribute_is_unreadable(missing: str) -> None:
    with pytest.raises(UnreadableEvent, match=missing):
        read(b"{}", [pair for pair in headers() if pair[0] != missing])


@pytest.mark.parametrize("value", [b"", b"[1]", b"{", b"\xff"])
def test_data_that_is_no_json_object_is_unreadable(value: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read(value, headers())


@pytest.mark.parametrize(
    ("said", "generation"),
    [(b"3", 3), (None, 1), (b"", 1), (b"-1", 1), ("²".encode(), 1), (b"9" * 10, 1), (b"9" * 5_000, 1)],
)
def test_a_generation_that_is_no_number_of_ours_keeps_nobody_from_what_comes_behind(
    said: bytes | None, generation: int
) -> None:
    """It is read before it is known whether a record can be handled at all: what fails there is read again for ever."""
    assert cloudevents.generation([("ce_generation", said)]) == generation


async def test_an_event_that_no_broker_would_take_is_refused_where_it_is_made() -> None:
    event = Event(
        topic="t", key="a", type="x.v1", subject="s", source="/s", data={"text": "x" * EVENT_BYTES_MAX}
    )
    with pytest.raises(ValueError, match="over"):
        await append(cast(Connection, None), [event])


def test_pauses_grow_to_a_limit() -> None:
    assert [backoff_s(n, least_s=0.1, most_s=1.0) for n in range(6)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.0]
    assert backoff_s(10_000, least_s=0.1, most_s=1.0) == 1.0
