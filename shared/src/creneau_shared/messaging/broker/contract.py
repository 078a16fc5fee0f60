"""The differences between brokers. All other modules use a broker only through this class."""

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
    """The brokers that the settings name; a subclass for each kind of broker."""

    idempotent: ClassVar[bool]
    """Whether it supports idempotent producers (InitProducerId), and so takes no record twice."""
    fetch_wait_ms: ClassVar[int]
    """How long it may hold a fetch while it has no records."""

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
        """The assignor by which a group's leader distributes the partitions; one for each consumer."""
        return RoundRobinPartitionAssignor

    def admin(self) -> AbstractAsyncContextManager[AIOKafkaAdminClient]:
        """A started administrator of topics."""
        return clients.open_admin(self.settings)

    @abstractmethod
    async def ends(
        self, reader: AIOKafkaConsumer, expected: Mapping[TopicPartition, int | None]
    ) -> dict[TopicPartition, int]:
        """The end of each of these logs: the offset of its next record.

        `expected`: the least plausible end, None if not known. A broker with imprecise answers verifies a lower one.
        Raises KafkaError or TimeoutError.
        """

    @abstractmethod
    def end_after(self, first: int, last: int) -> int:
        """The least end that a quick check (`reader.end_offsets`) gives for a log whose last batch has the offsets
        from `first` to `last`. A log with a lower end has lost records."""

    @abstractmethod
    def is_stranded(self, position: int, end: int | None) -> bool:
        """Whether a reader's position is beyond the end of its log (None: not known yet) and would stay there, because
        the broker answers its fetches as if there were no new records."""

    @abstractmethod
    def topic_configuration(
        self, topic: Topic, limits: MessagingSettings, replication_factor: int
    ) -> dict[str, str]:
        """The configuration to set on a topic with this number of replicas; empty if it would have no effect."""

    @abstractmethod
    async def widen(self, admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
        """Gives a topic without records the number of partitions of `topic`. Raises KafkaError."""
