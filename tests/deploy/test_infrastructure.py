"""The embedded PostgreSQL and brokers: real ones, that can crash and come back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from deploy.kafka.kafka import Kafka
from deploy.local.broker import Broker, answers
from deploy.local.postgres import Postgres
from tests.fixtures.postgres import NewDatabase


async def test_a_database_is_fresh_and_has_the_contrib_modules(new_database: NewDatabase) -> None:
    first, second = new_database(), new_database()
    assert first != second
    connection = await asyncpg.connect(first)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        for extension in ("btree_gist", "pg_trgm", "unaccent"):
            await connection.execute(f"CREATE EXTENSION {extension}")
        assert int(await connection.fetchval("SHOW server_version_num")) >= 180000
        assert await connection.fetchval("SELECT upper('é')") == "É"
    finally:
        await connection.close()


async def test_a_template_is_copied(postgres_server: Postgres, new_database: NewDatabase) -> None:
    source = new_database()
    name = source.rpartition("/")[2]
    postgres_server.execute("CREATE TABLE kept AS SELECT 42 AS answer", name)
    copy = new_database(template=name).rpartition("/")[2]
    assert postgres_server.execute("SELECT answer FROM kept", copy) == "42"


def test_postgres_keeps_what_was_committed(
    new_postgres_server: Callable[[], Postgres],
) -> None:
    server = new_postgres_server()
    server.execute("CREATE TABLE kept AS SELECT 1 AS one")
    server.kill()
    assert not server.is_ready()
    server.start()
    assert server.execute("SELECT one FROM kept") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_postgres_does_not_run_as_root(postgres_server: Postgres) -> None:
    assert os.stat(f"/proc/{postgres_server.child.pid}").st_uid != 0


async def exchange(bootstrap_servers: str, topic: str, *, idempotent: bool) -> bytes:
    """Send one record and read it back."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, enable_idempotence=idempotent)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"bonjour")
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), 60)
        return bytes(record.value)
    finally:
        await consumer.stop()


async def make_topic(bootstrap_servers: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()


async def test_the_embedded_broker_comes_back_empty(
    new_broker: Callable[[], Broker],
) -> None:
    broker = new_broker()
    await make_topic(broker.bootstrap_servers, "deploy.first")
    assert await exchange(broker.bootstrap_servers, "deploy.first", idempotent=False) == b"bonjour"
    broker.kill()
    assert not answers(broker.port)
    broker.start()
    await make_topic(broker.bootstrap_servers, "deploy.first")
    assert await exchange(broker.bootstrap_servers, "deploy.first", idempotent=False) == b"bonjour"


@pytest.mark.kafka
async def test_apache_kafka_survives_a_crash(kafka: Kafka) -> None:
    await make_topic(kafka.bootstrap_servers, "deploy.kept")
    assert await exchange(kafka.bootstrap_servers, "deploy.kept", idempotent=True) == b"bonjour"
    kafka.kill()
    kafka.start()
    assert await exchange(kafka.bootstrap_servers, "deploy.kept", idempotent=True) == b"bonjour"
