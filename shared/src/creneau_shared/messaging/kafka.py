"""Kafka clients as everything here uses them.

What the embedded broker (Tansu 0.6, in memory) does otherwise than Apache Kafka, found by experiment:

- no InitProducerId, so no idempotent producer and no transactions (`KAFKA_IDEMPOTENT_PRODUCER=false`);
- a metadata request for an unknown topic creates it, with the broker's own number of partitions, so a
  consumer that starts first (or comes back to an emptied broker first) decides it: the relay's `TopicKeeper`
  puts that right while the topic is empty; no CreatePartitions;
- ListOffsets puts the end of a log behind the first record of its last batch, not behind the last record; the
  high watermark of a fetch is right: `log_ends` and consumers go by that;
- a fetch behind the end of a log answers nothing, not OffsetOutOfRange: consumers compare by themselves;
- a restart forgets records, topics, groups and committed offsets: members are told that they are unknown,
  join again and begin at the earliest record;
- the first member of a group waits 3 to 6 s for its assignment; topic configurations are accepted, without
  effect (no compaction, no retention).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from creneau_shared.settings import ServiceSettings

METADATA_MAX_AGE_MS = 2_000
"""A topic that appears, or a broker that comes back, is seen within this time."""
REQUEST_TIMEOUT_MS = 10_000
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
BATCH_BYTES_MAX = 1_000_000
"""Longest batch of one partition: one event fits (`EVENT_BYTES_MAX`), and brokers take it (1 MiB by default)."""
FETCH_WAIT_MS = 100
"""The embedded broker answers an idle fetch only when this is over, whatever arrives meanwhile."""

log = structlog.get_logger(__name__)


def connection_options(settings: ServiceSettings) -> dict[str, Any]:
    """Where the brokers are and how they are spoken to: the same for producer, consumer and administrator."""
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": protocol,
    }
    if protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _tls(settings)
    if protocol.startswith("SASL_"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


def _tls(settings: ServiceSettings) -> ssl.SSLContext:
    """Brokers are verified, names included."""
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca)
    if settings.kafka_ssl_certificate is not None:
        context.load_cert_chain(settings.kafka_ssl_certificate, settings.kafka_ssl_key)
    return context


async def stop_within(name: str, stop: Callable[[], Awaitable[None]]) -> None:
    """Stop a client; leave it behind when it hangs (aiokafka #583, #647) or the broker is gone."""
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await stop()
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("kafka client did not stop", client=name, error=type(error).__name__)


@asynccontextmanager
async def open_producer(settings: ServiceSettings) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer: every replica acknowledges, order is kept within a partition."""
    producer = AIOKafkaProducer(
        **connection_options(settings),
        acks="all",
        enable_idempotence=settings.kafka_idempotent_producer,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        linger_ms=0,
        max_batch_size=BATCH_BYTES_MAX,
    )
    if not settings.kafka_idempotent_producer:
        # Each batch is tried once: aiokafka's own retry would put it into a log that was emptied meanwhile, ahead
        # of what that log has lost. Who sends tries again, after a look at the log. (An idempotent producer cannot:
        # its sequence numbers do not fit an emptied log.)
        producer._message_accumulator._batch_ttl = 0
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await producer.start()
        yield producer
    finally:
        await stop_within("producer", lambda: _abandon(producer))


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Stop without flushing: who sends here waits for the acknowledgement, and what was given up is sent
    again by the next term; sent late by this one it would follow newer events of its key.
    """
    if producer._sender is not None:
        await producer._sender.close()
    await producer.client.close()
    producer._closed = True


@asynccontextmanager
async def open_consumer(
    settings: ServiceSettings, *, group: str | None = None, session_timeout_s: float = 10.0
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer that commits nothing by itself and begins at the earliest record.

    It is subscribed to nothing yet.
    """
    consumer = AIOKafkaConsumer(
        **connection_options(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        session_timeout_ms=int(session_timeout_s * 1000),
        heartbeat_interval_ms=int(session_timeout_s * 1000 / 10),
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await consumer.start()
        yield consumer
    finally:
        await stop_within("consumer", consumer.stop)


async def log_ends(
    settings: ServiceSettings, reader: AIOKafkaConsumer, at_least: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Where each log ends: the offset of its next record.

    `at_least` names the partitions, with the end that is expected: where ListOffsets says less, the high watermark
    decides. Raises KafkaError or TimeoutError.
    """
    if not at_least:
        return {}
    ends: dict[TopicPartition, int] = await reader.end_offsets(list(at_least))
    doubtful = {place: ends[place] for place, expected in at_least.items() if ends[place] < expected}
    if doubtful:
        ends.update(await _high_watermarks(settings, doubtful))
    return ends


async def _high_watermarks(
    settings: ServiceSettings, places: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The high watermark of each partition, by a fetch from the offset given (which may be the end)."""
    async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000), open_consumer(settings) as reader:
        reader.assign(list(places))
        for place, offset in places.items():
            reader.seek(place, offset)
        while any(reader.highwater(place) is None for place in places):
            await reader.getmany(timeout_ms=50)
        return {place: max(offset, reader.highwater(place)) for place, offset in places.items()}


async def check_kafka(settings: ServiceSettings) -> None:
    """Readiness: raise OSError or TimeoutError when no bootstrap server accepts a connection within 2 s."""
    async with asyncio.timeout(2):
        last: OSError | None = None
        for server in settings.kafka_bootstrap_servers.split(","):
            host, _, port = server.strip().rpartition(":")
            try:
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            except OSError as error:
                last = error
                continue
            writer.close()
            return
        raise last or OSError("no bootstrap server is named")
