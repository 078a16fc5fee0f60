"""The partitions of a consumer: the generation of the log that each is read in, and when each is rewound.

A log that was emptied and filled again has a new generation (`inbox`). A partition is rewound when an event of a newer
generation comes, when its log ends before the reader's position, and when a rebuild was ordered.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from creneau_shared.database.pool import Database
from creneau_shared.messaging import inbox, metrics, rebuild
from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.failures import TRANSIENT
from creneau_shared.messaging.positions import CALL_TIMEOUT_S, commit
from creneau_shared.messaging.rebuild import Replica

log = structlog.get_logger(__name__)


class Partitions:
    """The partitions of `topics` that are assigned to this member of the consumer's group.

    `consumer`: its name in the inbox; `replica`: the data that it keeps of compacted topics. `look_every_s`: pause
    between two queries for a rebuild order whose wake-up was lost; `seconds`: the clock for this pause.
    """

    def __init__(
        self,
        consumer: str,
        topics: Sequence[str],
        database: Database,
        broker: Broker,
        replica: Replica | None,
        *,
        look_every_s: float,
        seconds: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._topics = tuple(topics)
        self._database = database
        self._broker = broker
        self._replica = replica
        self._look_every_s = look_every_s
        self._seconds = seconds
        self._look_at = -math.inf
        self._orders = database.bells.of(rebuild.CHANNEL)
        self._heard = self._orders.rung
        self.generations: dict[TopicPartition, int] = {}
        """partition → the generation in which it is read, as far as known in this process"""

    @property
    def is_ordered(self) -> bool:
        """Whether an order to rebuild was heard since the last check."""
        return self._orders.rung != self._heard

    async def order(self, stop: asyncio.Event) -> None:
        """Waits until an order to rebuild comes, or `stop` is set."""
        await self._orders.wait(stop, None, since=self._heard)

    async def given(self, kafka: AIOKafkaConsumer) -> None:
        """Loads the generations of the assigned partitions, after a new assignment."""
        self._look_soon()
        stored = await inbox.generations(self._database, self._consumer)
        mine = kafka.assignment()
        self.generations = {
            place: stored[place.topic, place.partition]
            for place in mine
            if stored.get((place.topic, place.partition), inbox.REBUILD) != inbox.REBUILD
        }

    def is_newer(self, place: TopicPartition, generation: int) -> bool:
        """Whether this generation is newer than the known one of the partition. False for a partition seen for the first
        time, whose generation is then noted."""
        return generation > self.generations.setdefault(place, generation)

    async def check(self, kafka: AIOKafkaConsumer) -> None:
        """Measures the lag; rewinds partitions whose log was emptied without notice, or for which a rebuild was ordered."""
        looks = self._looks()
        assigned = kafka.assignment()
        if not assigned:
            return
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                stored = await inbox.generations(self._database, self._consumer) if looks else {}
                positions = {place: await kafka.position(place) for place in assigned}
        except TRANSIENT as error:
            self._look_soon()
            log.info("log not checked", consumer=self._consumer, error=type(error).__name__)
            return
        if inbox.REBUILD in stored.values():
            self._look_soon()
        read = await self._go_through(kafka, positions, stored)
        if looks:
            await self._sweep(read)

    async def _go_through(
        self,
        kafka: AIOKafkaConsumer,
        positions: Mapping[TopicPartition, int],
        stored: Mapping[rebuild.Place, int],
    ) -> Mapping[rebuild.Place, int]:
        """Rewinds partitions where needed and publishes the lag; returns the positions of the other partitions."""
        lag = dict.fromkeys(self._topics, 0)
        read: dict[rebuild.Place, int] = {}
        # The other partitions have moved to other members meanwhile.
        ends = {place: kafka.highwater(place) for place in positions.keys() & kafka.assignment()}
        for place, end in ends.items():
            position = positions[place]
            lag[place.topic] += max(0, (end or 0) - position)
            emptied = self._broker.is_stranded(position, end)
            if emptied or stored.get((place.topic, place.partition)) == inbox.REBUILD:
                await self.rewind(kafka, place, None)
            else:
                read[place.topic, place.partition] = position
        for topic, events in lag.items():
            metrics.CONSUMER_LAG_EVENTS.labels(self._consumer, topic).set(events)
        return read

    async def rewind(self, kafka: AIOKafkaConsumer, place: TopicPartition, generation: int | None) -> bool:
        """Reads the partition from its beginning, as a log of this generation (None: that of the first record). Returns
        False if the broker does not allow it; the position then stays.

        Commits the offset first, then the row: after a crash in between, the partition is rewound once more.
        """
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                start = (await kafka.beginning_offsets([place]))[place]
                rebuilds = self._replica is not None and generation is None
                handled, end = await self._extent(kafka, place) if rebuilds else (-1, 0)
            kafka.seek(place, start)
        except (IllegalStateError, *TRANSIENT) as error:
            log.info("partition not rewound yet", consumer=self._consumer, error=type(error).__name__)
            return False
        if await commit(kafka, {place: start}, self._consumer):
            await self._restart(place, generation, handled, end)
            self.generations.pop(place, None)
            if generation is not None:
                self.generations[place] = generation
            metrics.REWINDS.labels(self._consumer).inc()
            log.warning(
                "partition rewound", consumer=self._consumer, topic=place.topic, partition=place.partition
            )
        return True

    async def _extent(self, kafka: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
        """The last handled offset of a partition (-1: none), and the offset of its next record."""
        handled = await inbox.handled(self._database, self._consumer, place.topic, place.partition)
        return handled, (await self._broker.ends(kafka, {place: handled + 1}))[place]

    async def _restart(self, place: TopicPartition, generation: int | None, handled: int, end: int) -> None:
        """Records that the partition is read from its beginning and, for a rebuild, up to which offset it must be read
        before anything is forgotten. In one transaction, so that a rebuild ordered meanwhile rewinds it again."""
        at = (place.topic, place.partition)
        async with self._database.transaction() as connection:
            await inbox.restart(connection, self._consumer, *at, generation)
            if self._replica is None:
                return
            if generation is None:
                await rebuild.begun(connection, self._consumer, at, end, handled)
            else:
                await rebuild.abandon(connection, self._consumer)

    def _looks(self) -> bool:
        """Whether to query the database for rebuild orders: one was heard, one is under way, or the pause is over."""
        looks = self.is_ordered or self._seconds() >= self._look_at
        if looks:
            self._heard = self._orders.rung
            self._look_at = self._seconds() + self._look_every_s
        return looks

    def _look_soon(self) -> None:
        self._look_at = -math.inf

    async def _sweep(self, read: Mapping[rebuild.Place, int]) -> None:
        """Forgets replica rows that a rebuild has not found in the topics, once it has read them."""
        if self._replica is None:
            return
        try:
            if await rebuild.sweep_when_read(self._database, self._consumer, read, self._replica):
                self._look_soon()
        except TRANSIENT as error:
            self._look_soon()
            log.info("replica not swept yet", consumer=self._consumer, error=type(error).__name__)
