"""Kafka over TLS, with a certificate of ours and with a login: producer, consumer and administrator alike."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from deploy.gateway.certificates import self_signed
from deploy.local.broker import answers, server_command
from deploy.local.child import Child
from deploy.local.ports import LOOPBACK, free_port, wait_until
from tests.fixtures.tls import tls_before

from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.clients import connection_options
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import Topic
from creneau_shared.settings import ServiceSettings

TOPIC = Topic(name="test.encrypted", partitions=1)


@pytest.fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a broker that is reached by TLS only, by clients with the certificate of `client/`."""
    port, listen = free_port(), free_port()
    child = Child("broker", server_command(port, advertised=listen), tmp_path / "log")
    child.start()
    try:
        wait_until(lambda: answers(port), within_s=15, what="the broker")
        certificate, key = self_signed(tmp_path / "server")
        client, _ = self_signed(tmp_path / "client")
        async with tls_before(port, certificate, key, listen=listen, client_ca=client) as listening:
            yield listening
    finally:
        child.stop()


def settings(port: int, tmp_path: Path, **own: Any) -> ServiceSettings:
    given = {
        "database_url": "postgresql://x/y",
        "kafka_bootstrap_servers": f"{LOOPBACK}:{port}",
        "kafka_security_protocol": "SSL",
        "kafka_ssl_ca": tmp_path / "server" / "certificate.pem",
        "kafka_ssl_certificate": tmp_path / "client" / "certificate.pem",
        "kafka_ssl_key": tmp_path / "client" / "key.pem",
        "kafka_broker": "in-memory",
        **own,
    }
    return ServiceSettings(**{name: value for name, value in given.items() if value is not None})


async def test_topics_records_and_readers_go_through_tls(encrypted: int, tmp_path: Path) -> None:
    told = settings(encrypted, tmp_path)
    async with TopicKeeper(told, [TOPIC]) as keeper:
        await keeper.create()
        assert await keeper.sizes() == {TOPIC.name: 1}
    async with broker_of(told).producer() as producer:
        await producer.send_and_wait(TOPIC.name, b"bonjour")
    async with broker_of(told).consumer() as consumer:
        consumer.subscribe([TOPIC.name])
        async with asyncio.timeout(60):
            assert (await consumer.getone()).value == b"bonjour"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka_ssl_ca": None},
        {"kafka_ssl_certificate": None, "kafka_ssl_key": None},
        {"kafka_security_protocol": "PLAINTEXT"},
    ],
    ids=["unknown broker", "no certificate", "in the clear"],
)
async def test_who_does_not_fit_does_not_get_in(
    encrypted: int, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises((KafkaError, TimeoutError)):
        async with asyncio.timeout(5), broker_of(settings(encrypted, tmp_path, **wrong)).producer():
            raise AssertionError("unreachable")


def test_a_login_goes_with_every_client() -> None:
    told = ServiceSettings(
        database_url="postgresql://x/y",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username="creneau",
        kafka_sasl_password="le mot",
    )
    options = connection_options(told)
    assert options.pop("ssl_context").verify_mode is ssl.CERT_REQUIRED
    assert options == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "creneau",
        "sasl_plain_password": "le mot",
    }
    assert "le mot" not in repr(told)
