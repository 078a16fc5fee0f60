"""The read positions of a group's member: commits them, or moves them back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

CALL_TIMEOUT_S = 5.0
"""Longest wait for a broker's answer between two polls; then the consumer goes on without it."""

log = structlog.get_logger(__name__)


async def commit(kafka: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int], consumer: str) -> bool:
    """Commits offsets; returns False if the group or the broker refused, which the inbox makes harmless."""
    if not offsets:
        return True
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            await kafka.commit(dict(offsets))
    except (CommitFailedError, IllegalStateError, KafkaError, TimeoutError) as error:
        log.info("offsets not committed", consumer=consumer, error=type(error).__name__)
        return False
    return True


def read_again(kafka: AIOKafkaConsumer, place: TopicPartition, offset: int, consumer: str) -> None:
    """Reads the partition again from `offset`, after the other partitions."""
    try:
        kafka.seek(place, offset)
    except IllegalStateError:
        log.info("partition has gone to another member", consumer=consumer, partition=place.partition)
