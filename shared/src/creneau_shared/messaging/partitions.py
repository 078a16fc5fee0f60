"""Where the partitions of a consumer stand: of which log each is read, and when it is read from its beginning again.

A log that has been emptied has another generation than before (`inbox`). A partition is rewound when an event of a newer
generation comes, when its log ends before what was handled of it, and when a rebuild was ordered.
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
    """The partitions of `topics` that a member of the consumer's group has been given.

    `consumer` is its name, as the inbox knows it, `replica` what it keeps of compacted topics. `look_every_s`: pause
    between two looks for an order to rebuild that was not heard of; `seconds`: the clock by which that is measured.
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
        """of the logs of which something was handled, as far as is known here"""

    @property
    def is_ordered(self) -> bool:
        """Whether an order to rebuild came since the last look."""
        return self._orders.rung != self._heard

    async def order(self, stop: asyncio.Event) -> None:
        """Until an order to rebuild comes, or `stop` is set."""
        await self._orders.wait(stop, None, since=self._heard)

    async def given(self, kafka: AIOKafkaConsumer) -> None:
        """Other partitions are ours than before: learn where they stand."""
        self._look_soon()
        stored = await inbox.generations(self._database, self._consumer)
        mine = kafka.assignment()
        self.generations = {
            place: stored[place.topic, place.partition]
            for place in mine
            if stored.get((place.topic, place.partition), inbox.REBUILD) != inbox.REBUILD
        }

    def is_newer(self, place: TopicPartition, generation: int) -> bool:
        """Whether events of this generation begin a log anew; of a partition that is seen for the first time, they do
        not."""
        return generation > self.generations.setdefault(place, generation)

    async def check(self, kafka: AIOKafkaConsumer) -> None:
        """Measure the lag; rewind partitions whose log has been emptied unsaid, or that are to be rebuilt by
        command."""
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
        """Rewind what has to be, and tell the lag; up to where the others are read."""
        lag = dict.fromkeys(self._topics, 0)
        read: dict[rebuild.Place, int] = {}
        # Others have gone to other members meanwhile.
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
        """Read the partition from its beginning, as a log of this generation (None: whatever comes first); False when the
        broker does not let us, and it is read on from where it stood.

        First the offset, then the row: after a crash in between it is rewound once more.
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
        """The last offset that was handled of a partition (-1: none), and that of its next record."""
        handled = await inbox.handled(self._database, self._consumer, place.topic, place.partition)
        return handled, (await self._broker.ends(kafka, {place: handled + 1}))[place]

    async def _restart(self, place: TopicPartition, generation: int | None, handled: int, end: int) -> None:
        """Record that the partition begins anew and, for a rebuild, up to where it is to be read before anything is
        forgotten: in one transaction, so that a rebuild that is ordered meanwhile rewinds it again."""
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
        """Whether to ask the database for an order to rebuild: if one was heard of, is being carried out, or now and
        then."""
        looks = self.is_ordered or self._seconds() >= self._look_at
        if looks:
            self._heard = self._orders.rung
            self._look_at = self._seconds() + self._look_every_s
        return looks

    def _look_soon(self) -> None:
        self._look_at = -math.inf

    async def _sweep(self, read: Mapping[rebuild.Place, int]) -> None:
        """Forget what a rebuild has not found in the topics, once it has read them."""
        if self._replica is None:
            return
        try:
            if await rebuild.sweep_when_read(self._database, self._consumer, read, self._replica):
                self._look_soon()
        except TRANSIENT as error:
            self._look_soon()
            log.info("replica not swept yet", consumer=self._consumer, error=type(error).__name__)
