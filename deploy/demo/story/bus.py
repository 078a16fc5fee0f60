"""What is published on Kafka, read only: no group, nothing committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import jsonschema_rs
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from deploy.demo.story.errors import StoryError

Result = TypeVar("Result")

TOPIC = "creneau.booking.appointments"
TYPE_PREFIX = "fr.creneau.booking."
WITHIN_S = 30.0
CONTRACTS = Path(__file__).resolve().parents[3] / "shared" / "contracts" / "events" / "booking"


@dataclass(frozen=True)
class Event:
    """A record: its place, its key, its CloudEvents attributes (headers) and its data."""

    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    data: dict[str, Any]


class Bus:
    """The appointments' topic, read from its end at creation."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._from = self._run(self._ends())

    def wait(self, appointment: str, change: str) -> Event:
        """The event `appointment.<change>.v1` of an appointment; a StoryError when it does not come."""
        event_type = f"{TYPE_PREFIX}appointment.{change}.v1"
        event = self._run(self._find(appointment, event_type))
        if event is None:
            raise StoryError(
                f"L'événement {event_type} du rendez-vous {appointment} n'est pas paru sur {TOPIC} "
                f"en {WITHIN_S:.0f} secondes."
            )
        return event

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        try:
            return asyncio.run(work)
        except (KafkaError, OSError) as error:
            name = type(error).__name__
            raise StoryError(f"Kafka ne répond pas à {self._bootstrap_servers} ({name}).") from error

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=self._bootstrap_servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()

    async def _ends(self) -> dict[TopicPartition, int]:
        async with self._consumer() as consumer:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
            return ends

    async def _find(self, appointment: str, event_type: str) -> Event | None:
        async with self._consumer() as consumer:
            for partition in consumer.assignment():
                consumer.seek(partition, self._from.get(partition, 0))
            try:
                async with asyncio.timeout(WITHIN_S):
                    async for record in consumer:
                        event = _event(record)
                        if event.key == appointment and event.headers.get("ce_type") == event_type:
                            return event
            except TimeoutError:
                pass
            return None


def _event(record: ConsumerRecord) -> Event:
    return Event(
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode(),
        headers={name: value.decode() for name, value in record.headers},
        data=orjson.loads(record.value) if record.value else {},
    )


@cache
def _schemas() -> dict[str, Any]:
    """Every schema of the booking service's events, by its address ($id)."""
    schemas = [orjson.loads(path.read_bytes()) for path in sorted(CONTRACTS.glob("*.schema.json"))]
    return {schema["$id"]: schema for schema in schemas}


def check_contract(event: Event) -> str:
    """The contract file that the event's data obeys; a StoryError when it does not, or has none."""
    file = f"{event.headers['ce_type'].removeprefix(TYPE_PREFIX)}.schema.json"
    schema = next((schema for name, schema in _schemas().items() if name.endswith(f"/{file}")), None)
    if schema is None:
        raise StoryError(f"Aucun contrat {file} dans {CONTRACTS}.")
    registry = jsonschema_rs.Registry(list(_schemas().items()))
    validator = jsonschema_rs.validator_for(schema, registry=registry, validate_formats=True, offline=True)
    for error in validator.iter_errors(event.data):
        place = "/".join(map(str, error.instance_path)) or "racine"
        raise StoryError(f"L'événement ne respecte pas {file} ({place}) : {error.message}")
    return file
