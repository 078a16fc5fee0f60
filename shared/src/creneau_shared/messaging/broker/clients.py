"""Kafka clients, the same for every broker."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from creneau_shared.settings import ServiceSettings

METADATA_MAX_AGE_MS = 2_000
"""Clients notice a new topic, or a broker that is back, within this time."""
REQUEST_TIMEOUT_MS = 10_000
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
BATCH_BYTES_MAX = 1_000_000
"""Longest batch of one partition: one event fits (`EVENT_BYTES_MAX`), and brokers take it (1 MiB by default)."""

log = structlog.get_logger(__name__)


def connection_options(settings: ServiceSettings) -> dict[str, Any]:
    """Addresses of the brokers and connection settings: the same for producer, consumer and administrator."""
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
    """The TLS context; certificates and host names of brokers are verified."""
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca)
    if settings.kafka_ssl_certificate is not None:
        context.load_cert_chain(settings.kafka_ssl_certificate, settings.kafka_ssl_key)
    return context


@asynccontextmanager
async def open_producer(settings: ServiceSettings, *, idempotent: bool) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer: every replica acknowledges, order is kept within a partition.

    `idempotent`: records have sequence numbers, so that the broker takes none twice or out of order.
    """
    producer = AIOKafkaProducer(
        **connection_options(settings),
        acks="all",
        enable_idempotence=idempotent,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        linger_ms=0,
        max_batch_size=BATCH_BYTES_MAX,
    )
    if not idempotent:
        # Each batch is tried once: aiokafka's own retry could write it into a log that was emptied meanwhile, ahead
        # of the records that this log has lost. The sender tries again, after checking the log. (An idempotent
        # producer cannot write there: its sequence numbers do not fit an emptied log.)
        producer._message_accumulator._batch_ttl = 0
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await producer.start()
        yield producer
    finally:
        await _stop_within("producer", lambda: _abandon(producer))


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Stops without flushing: senders wait for acknowledgements, and the relay's next term sends unacknowledged events
    again. Sent late by this producer, they would follow newer events of their key.
    """
    if producer._sender is not None:
        await producer._sender.close()
    await producer.client.close()
    producer._closed = True


@asynccontextmanager
async def open_consumer(
    settings: ServiceSettings,
    *,
    group: str | None,
    session_timeout_s: float,
    fetch_wait_ms: int,
    assignor: Any,
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer that commits nothing by itself and begins at the earliest record.

    It is subscribed to nothing yet. `fetch_wait_ms`: how long the broker may hold a fetch while it has no records.
    """
    consumer = AIOKafkaConsumer(
        **connection_options(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=fetch_wait_ms,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        session_timeout_ms=int(session_timeout_s * 1000),
        heartbeat_interval_ms=int(session_timeout_s * 1000 / 10),
        partition_assignment_strategy=(assignor,),
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await consumer.start()
        yield consumer
    finally:
        if not await _stop_within("consumer", consumer.stop):
            _leave_off(consumer)


def works(consumer: AIOKafkaConsumer) -> bool:
    """Whether all background tasks of a started consumer still run. aiokafka does not report a task that ended by an
    unexpected exception (such as uvloop's RuntimeError for a connection that was just reset). Then no record, or no new
    assignment, would ever come."""
    tasks = (
        consumer._client._sync_task,
        consumer._fetcher._fetch_task,
        getattr(consumer._coordinator, "_coordination_task", None),
    )
    return not any(task is not None and task.done() for task in tasks)


def _leave_off(consumer: AIOKafkaConsumer) -> None:
    """Stops the heartbeat of a member that could not leave its group: else it would keep its partitions, and nobody would
    read them."""
    heartbeat = getattr(consumer._coordinator, "_heartbeat_task", None)
    if heartbeat is not None:
        heartbeat.cancel()


@asynccontextmanager
async def open_admin(settings: ServiceSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started administrator of topics."""
    admin = AIOKafkaAdminClient(**connection_options(settings), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await admin.start()
        yield admin
    finally:
        await _stop_within("admin", admin.close)


async def _stop_within(name: str, stop: Callable[[], Awaitable[None]]) -> bool:
    """Stops a client; False when it could not be stopped: it hangs (aiokafka #583, #647), the broker is gone, or stopping
    raises the exception of an ended task again. Any exception is caught: the caller goes on with another client."""
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await stop()
    except Exception as error:
        log.warning("kafka client did not stop", client=name, error=type(error).__name__)
        return False
    return True


async def check_kafka(settings: ServiceSettings) -> None:
    """Readiness check: raises OSError or TimeoutError if no bootstrap server accepts a connection within 2 s."""
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
