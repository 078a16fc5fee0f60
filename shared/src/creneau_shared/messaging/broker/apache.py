"""Apache Kafka: replicated, and conforming to the protocol."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topics import Topic


class Apache(Broker):
    """Apache Kafka 2.1 or later, and compatible brokers."""

    idempotent = True
    fetch_wait_ms = 500
    """A record that arrives meanwhile is sent at once."""

    async def ends(
        self, reader: AIOKafkaConsumer, expected: Mapping[TopicPartition, int | None]
    ) -> dict[TopicPartition, int]:
        """The ends from ListOffsets, which are right: a leader that does not know them yet returns an error (KIP-207)."""
        return await reader.end_offsets(list(expected)) if expected else {}

    def end_after(self, first: int, last: int) -> int:
        """The offset after `last`: records that every replica has acknowledged are before the high watermark."""
        return last + 1

    def is_stranded(self, position: int, end: int | None) -> bool:
        """Never: such a fetch fails with OffsetOutOfRange, and the client then begins at the earliest record by itself."""
        return False

    def topic_configuration(
        self, topic: Topic, limits: MessagingSettings, replication_factor: int
    ) -> dict[str, str]:
        """The whole configuration of the topic."""
        return topic.configuration(limits, replication_factor)

    async def widen(self, admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
        """Widens the topic by CreatePartitions."""
        await admin.create_partitions({topic.name: NewPartitions(topic.num_partitions)})
