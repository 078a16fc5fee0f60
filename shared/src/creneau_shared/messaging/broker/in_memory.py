"""The embedded broker of a local run (Tansu 0.6): everything in memory.

Its differences from Apache Kafka, found by experiment, and how they are handled:

- no InitProducerId, so no idempotent producer and no transactions: an event may come twice, and the inbox takes it once;
- an idle fetch is answered only when its time is over, whatever arrives meanwhile: its entrance
  (deploy/local/broker_entrance.py) keeps the fetch instead, until something arrives;
- ListOffsets puts the end of a log after the first record of its last batch, not after the last record; the
  high watermark of a fetch is right, and `ends` uses it;
- a fetch beyond the end of a log returns nothing, not OffsetOutOfRange: `is_stranded`;
- topic configurations (retention, compaction, min.insync.replicas) are accepted without effect: none is sent;
- no CreatePartitions: `widen` deletes the topic, which is empty, and creates it;
- a metadata request for an unknown topic creates it with the broker's own number of partitions, as on a Kafka with
  automatic topics. A consumer that starts before the relay can cause this, also after the broker was emptied; the
  relay's `TopicKeeper` corrects it while the topic is empty;
- a restart forgets records, topics, groups and committed offsets: the relay publishes again; members are told that
  they are unknown, join again and begin at the earliest record;
- the first member of a group waits 3 to 6 s for its assignment;
- a member that rejoins with unchanged metadata gets its former assignment, whatever the leader assigns now. A group that
  had assigned a topic before it was widened would never read the new partitions. `Retelling` changes the metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from creneau_shared.messaging.broker.clients import REQUEST_TIMEOUT_MS
from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topics import Topic


class InMemory(Broker):
    """The embedded broker."""

    idempotent = False
    fetch_wait_ms = 1000

    def assignor(self) -> Any:
        """An assignor that makes the broker accept a new assignment after a topic was widened."""
        return Retelling()

    async def ends(
        self, reader: AIOKafkaConsumer, expected: Mapping[TopicPartition, int | None]
    ) -> dict[TopicPartition, int]:
        """The ends from ListOffsets; the high watermark where that is less than expected, or nothing is expected."""
        if not expected:
            return {}
        ends: dict[TopicPartition, int] = await reader.end_offsets(list(expected))
        doubtful = {
            place: ends[place] for place, least in expected.items() if least is None or ends[place] < least
        }
        if doubtful:
            ends.update(await self._high_watermarks(doubtful))
        return ends

    async def _high_watermarks(self, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The high watermark of each partition, from a fetch at the given offset (which may be the end)."""
        async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000), self.consumer() as reader:
            reader.assign(list(places))
            for place, offset in places.items():
                reader.seek(place, offset)
            while any(reader.highwater(place) is None for place in places):
                await reader.getmany(timeout_ms=50)
            return {place: max(offset, reader.highwater(place)) for place, offset in places.items()}

    def end_after(self, first: int, last: int) -> int:
        """The offset after the first record of the batch, which ListOffsets returns as the end."""
        return first + 1

    def is_stranded(self, position: int, end: int | None) -> bool:
        """Whether the position is beyond the high watermark: fetches there return neither records nor an error."""
        return end is not None and position > end

    def topic_configuration(
        self, topic: Topic, limits: MessagingSettings, replication_factor: int
    ) -> dict[str, str]:
        """Empty: no configuration has an effect."""
        return {}

    async def widen(self, admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
        """Deletes and creates the topic. If creating fails, the next check of the topics creates it."""
        await admin.delete_topics([topic.name])
        await admin.create_topics([topic])


class Retelling(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """Assigns as other consumers do. A member that led the group rejoins with another number in its metadata if a topic has
    another size than at its last assignment. Then the broker accepts the new assignment."""

    def __init__(self) -> None:
        self._cluster: ClusterMetadata | None = None
        self._shared: dict[str, int] = {}
        """topic → number of partitions at the last assignment"""
        self._times = 0

    def assign(self, cluster: ClusterMetadata, members: Mapping[str, Any]) -> Any:
        """The partitions of each member."""
        self._cluster = cluster
        self._shared = _sizes(
            cluster, {topic for member in members.values() for topic in member.subscription}
        )
        return super().assign(cluster, members)

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """The metadata with which a member joins."""
        if self._cluster is not None:
            sizes = _sizes(self._cluster, self._shared)
            self._times += sizes != self._shared
            self._shared = sizes
        return ConsumerProtocolMemberMetadata(self.version, list(topics), str(self._times).encode())


def _sizes(cluster: ClusterMetadata, topics: Iterable[str]) -> dict[str, int]:
    """The number of partitions of each topic."""
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
