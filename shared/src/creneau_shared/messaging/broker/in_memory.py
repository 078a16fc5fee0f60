"""The embedded broker of a local run (Tansu 0.6): everything in memory.

What it does otherwise than Apache Kafka, found by experiment, and who makes up for it:

- no InitProducerId, so no idempotent producer and no transactions: an event may come twice, and the inbox takes it once;
- an idle fetch is answered only when its time is over, whatever arrives meanwhile: its entrance
  (deploy/local/broker_entrance.py) keeps the fetch instead, until something arrives;
- ListOffsets puts the end of a log behind the first record of its last batch, not behind the last record; the
  high watermark of a fetch is right: `ends` goes by that;
- a fetch behind the end of a log answers nothing, not OffsetOutOfRange: `is_stranded`;
- topic configurations (retention, compaction, min.insync.replicas) are accepted without effect: none is sent;
- no CreatePartitions: `widen` deletes the topic, which is empty, and creates it;
- a metadata request for an unknown topic creates it, as on a Kafka that may create topics by itself, with the
  broker's own number of partitions. So a consumer that starts first (or comes back to an emptied broker first)
  decides it: the relay's `TopicKeeper` puts that right while the topic is empty;
- a restart forgets records, topics, groups and committed offsets: the relay publishes again; members are told that
  they are unknown, join again and begin at the earliest record;
- the first member of a group waits 3 to 6 s for its assignment;
- a member that joins again saying the same as before is told what was assigned then, whatever the leader assigns now:
  a group that had shared its topic out before it was widened would never read the rest. `Retelling` says something else.
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
        """One that tells the broker when there is something new to share out."""
        return Retelling()

    async def ends(
        self, reader: AIOKafkaConsumer, expected: Mapping[TopicPartition, int | None]
    ) -> dict[TopicPartition, int]:
        """What ListOffsets says; where that is less than expected, or nothing is, the high watermark decides."""
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
        """The high watermark of each partition, by a fetch from the offset given (which may be the end)."""
        async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000), self.consumer() as reader:
            reader.assign(list(places))
            for place, offset in places.items():
                reader.seek(place, offset)
            while any(reader.highwater(place) is None for place in places):
                await reader.getmany(timeout_ms=50)
            return {place: max(offset, reader.highwater(place)) for place, offset in places.items()}

    def end_after(self, first: int, last: int) -> int:
        """Behind the first of the batch: so far a quick look sees."""
        return first + 1

    def is_stranded(self, position: int, end: int | None) -> bool:
        """Behind the high watermark nothing will ever come, nor be said."""
        return end is not None and position > end

    def topic_configuration(
        self, topic: Topic, limits: MessagingSettings, replication_factor: int
    ) -> dict[str, str]:
        """None has an effect."""
        return {}

    async def widen(self, admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
        """Delete and create. Should the second fail, the next look at the topics makes up for it."""
        await admin.delete_topics([topic.name])
        await admin.create_topics([topic])


class Retelling(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """Shares out like every other consumer. Whoever led the group, and joins it again since a topic has another size than
    when they shared it out, says so by another number: then the broker takes what they assign."""

    def __init__(self) -> None:
        self._cluster: ClusterMetadata | None = None
        self._shared: dict[str, int] = {}
        """the sizes of the topics by which partitions were shared out last"""
        self._times = 0

    def assign(self, cluster: ClusterMetadata, members: Mapping[str, Any]) -> Any:
        """The partitions of each member."""
        self._cluster = cluster
        self._shared = _sizes(
            cluster, {topic for member in members.values() for topic in member.subscription}
        )
        return super().assign(cluster, members)

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What a member says of itself as it joins."""
        if self._cluster is not None:
            sizes = _sizes(self._cluster, self._shared)
            self._times += sizes != self._shared
            self._shared = sizes
        return ConsumerProtocolMemberMetadata(self.version, list(topics), str(self._times).encode())


def _sizes(cluster: ClusterMetadata, topics: Iterable[str]) -> dict[str, int]:
    """The number of partitions of each topic."""
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
