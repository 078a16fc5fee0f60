"""Creates the topics of a producing service whenever they are missing, whatever happened to the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.clients import REQUEST_TIMEOUT_MS
from creneau_shared.messaging.retention import Partition
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topics import Topic
from creneau_shared.settings import ServiceSettings

TOPIC_CONFIG = 1
"""DescribeConfigs' source of a value that is set on the topic itself (DYNAMIC_TOPIC_CONFIG)"""

WIDENED_PAUSE_S = 0.1
WIDENED_LOOKS_MAX = 20
"""most checks whether a widened topic has its partitions; without the right to widen it, it keeps those that it has"""

log = structlog.get_logger(__name__)


class TopicKeeper:
    """Creates topics and tells where their logs end. Use as an async context manager."""

    def __init__(
        self, settings: ServiceSettings, topics: Sequence[Topic], limits: MessagingSettings | None = None
    ) -> None:
        self._settings = settings
        self._limits = limits or MessagingSettings()
        self._topics = {topic.name: topic for topic in topics}
        self._broker = broker_of(settings)
        self._clients = AsyncExitStack()
        self._admin: AIOKafkaAdminClient | None = None

    async def __aenter__(self) -> Self:
        self._admin = await self._clients.enter_async_context(self._broker.admin())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()

    async def ensure(
        self, reader: AIOKafkaConsumer, acknowledged: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        """Creates missing topics; returns the end of each partition's log (the offset of its next record).

        `acknowledged`: the greatest known offset of each partition. Raises KafkaError or TimeoutError.
        """
        await self.create()
        sizes = await self.sizes()
        expected: dict[TopicPartition, int | None] = {
            TopicPartition(name, number): acknowledged.get((name, number), -1) + 1
            for name, size in sizes.items()
            for number in range(size)
        }
        ends = {
            (place.topic, place.partition): end
            for place, end in (await self._broker.ends(reader, expected)).items()
        }
        for name, size in sizes.items():
            empty = not any(end for (topic, _), end in ends.items() if topic == name)
            if empty and size < self._partitions(self._topics[name]):
                await self._widen(self._topics[name])
        return ends

    def _partitions(self, topic: Topic) -> int:
        return topic.partitions or self._settings.kafka_partitions

    async def create(self) -> None:
        """Creates missing topics. Raises KafkaError."""
        existing = await self.sizes()
        missing = [topic for name, topic in self._topics.items() if name not in existing]
        if missing:
            await self._create(missing)

    async def configure(self) -> list[str]:
        """Applies the declared configuration, which settings may have changed, to existing topics; returns which changed.

        Other values that an operator has set on a topic stay. If the broker refuses configurations, nothing is changed.
        """
        assert self._admin is not None
        changed = []
        for name, partitions in sorted((await self._present()).items()):
            replicas = min(len(partition["replicas"]) for partition in partitions)
            wanted = self._broker.topic_configuration(self._topics[name], self._limits, replicas)
            if not wanted:
                continue
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    present = await self._own_configuration(name)
                    if wanted.items() <= present.items():
                        continue
                    (answer,) = await self._admin.alter_configs(
                        [ConfigResource(ConfigResourceType.TOPIC, name, present | wanted)]
                    )
            except (KafkaError, TimeoutError) as error:
                log.info("topic not configured", topic=name, error=type(error).__name__)
                continue
            for code, reason, *_ in answer.resources:
                if code:
                    log.warning("topic not configured", topic=name, code=code, reason=reason)
                else:
                    log.info("topic configured", topic=name)
                    changed.append(name)
        return changed

    async def _own_configuration(self, name: str) -> dict[str, str]:
        """The configuration set on the topic itself, without the broker's defaults."""
        assert self._admin is not None
        (answer,) = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        entries = [entry for resource in answer.resources for entry in resource[4]]
        return {str(e[0]): str(e[1]) for e in entries if e[3] == TOPIC_CONFIG}

    async def sizes(self) -> dict[str, int]:
        """The number of partitions of each of our topics that exists."""
        return {name: len(partitions) for name, partitions in (await self._present()).items()}

    async def _present(self) -> dict[str, list[dict[str, Any]]]:
        """The partitions of each of our topics that exists, as the broker describes them.

        The names are asked for first: on some brokers describing a topic that is missing creates it.
        """
        assert self._admin is not None
        existing = sorted(self._topics.keys() & set(await self._admin.list_topics()))
        if not existing:
            return {}
        return {
            topic["topic"]: topic["partitions"]
            for topic in await self._admin.describe_topics(existing)
            if topic["partitions"]
        }

    async def _create(self, topics: Sequence[Topic]) -> None:
        assert self._admin is not None
        response = await self._admin.create_topics([self._new(topic) for topic in topics])
        for name, code, *_ in response.topic_errors:
            if not code:
                log.info("topic created", topic=name)
            elif for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"topic {name} could not be created")

    def _new(self, topic: Topic) -> NewTopic:
        replicas = self._settings.kafka_replication_factor
        return NewTopic(
            topic.name,
            self._partitions(topic),
            replicas,
            topic_configs=self._broker.topic_configuration(topic, self._limits, replicas),
        )

    async def _widen(self, topic: Topic) -> None:
        """Gives an empty topic its number of partitions, if a client's first request has created it with fewer.

        Never done to a topic with records: the partition of a key would change, and the order would be lost.
        """
        assert self._admin is not None
        await self._broker.widen(self._admin, self._new(topic))
        wanted = self._partitions(topic)
        for _ in range(WIDENED_LOOKS_MAX):
            # Until the brokers have synchronised, keys would be sent by the former number of partitions.
            if (await self.sizes()).get(topic.name) == wanted:
                log.info("topic widened", topic=topic.name, partitions=wanted)
                return
            await asyncio.sleep(WIDENED_PAUSE_S)
        log.warning("topic not widened", topic=topic.name, partitions=wanted)
