"""Detects whether a consumer's client still hears from its brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from creneau_shared.messaging.broker.clients import works


class Hearing(ConsumerRebalanceListener):  # type: ignore[misc]
    """The signs of life that a client gets from its brokers: new assignments, and answers to its fetches."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._between = True
        """whether the group has not yet assigned its partitions"""
        self._last: int | None = None

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._between = True
        self.changed.set()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._between = False
        self.changed.set()

    def hears(self, kafka: AIOKafkaConsumer) -> bool:
        """Whether a fetch was answered since the last call. True for a member without partitions; False while the group
        assigns partitions, or if the client has stopped working."""
        if self._between or not works(kafka):
            return False
        if not kafka.assignment():
            return True
        before = self._last
        self._last = max(kafka.last_poll_timestamp(place) or 0 for place in kafka.assignment())
        return self._last != before
