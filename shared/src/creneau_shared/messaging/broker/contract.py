"""What differs from one broker to another. Everything else here knows a broker as this only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from creneau_shared.messaging.broker import clients
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topics import Topic
from creneau_shared.settings import ServiceSettings

SESSION_TIMEOUT_S = 10.0


class Broker(ABC):
    """The brokers that the settings name, seen by one kind of them."""

    idempotent: ClassVar[bool]
    """Whether it numbers what a producer sends (InitProducerId), and takes nothing twice."""
    fetch_wait_ms: ClassVar[int]
    """How long it may keep a fetch for which it has nothing."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings

    def producer(self) -> AbstractAsyncContextManager[AIOKafkaProducer]:
        """A started producer: every replica acknowledges, order is kept within a partition."""
        return clients.open_producer(self.settings, idempotent=self.idempotent)

    def consumer(
        self, group: str | None = None, *, session_timeout_s: float = SESSION_TIMEOUT_S
    ) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A started consumer, subscribed to nothing yet, that commits nothing by itself and begins at the earliest
        record."""
        return clients.open_consumer(
            self.settings,
            group=group,
            session_timeout_s=session_timeout_s,
            fetch_wait_ms=self.fetch_wait_ms,
            assignor=self.assignor(),
        )

    def assignor(self) -> Any:
        """How the leader of a group shares the partitions out; one for each consumer."""
        return RoundRobinPartitionAssignor

    def admin(self) -> AbstractAsyncContextManager[AIOKafkaAdminClient]:
        """A started administrator of topics."""
        return clients.open_admin(self.settings)

    @abstractmethod
    async def ends(
        self, reader: AIOKafkaConsumer, expected: Mapping[TopicPartition, int | None]
    ) -> dict[TopicPartition, int]:
        """Where each of these logs ends: the offset of its next record.

        `expected`: the least end that is right, where one is known; a broker that is unsure below looks closer.
        Raises KafkaError or TimeoutError.
        """

    @abstractmethod
    def end_after(self, first: int, last: int) -> int:
        """The least end that a quick look (`reader.end_offsets`) tells of a log whose last batch went to the offsets
        from `first` to `last`: what is less has lost records."""

    @abstractmethod
    def is_stranded(self, position: int, end: int | None) -> bool:
        """Whether a reader at this position is behind the end of its log (None: not known yet) and would stay there,
        because fetches are answered as if there were nothing new."""

    @abstractmethod
    def topic_configuration(
        self, topic: Topic, limits: MessagingSettings, replication_factor: int
    ) -> dict[str, str]:
        """What is set on a topic that is kept in so many replicas; nothing where it would have no effect."""

    @abstractmethod
    async def widen(self, admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
        """Give a topic without records the number of partitions that `topic` says. Raises KafkaError."""
