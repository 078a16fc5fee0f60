"""How far a member of a group has read: committed, or to be read again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

CALL_TIMEOUT_S = 5.0
"""Longest wait for an answer of the broker between two polls; the consumer goes on without it."""

log = structlog.get_logger(__name__)


async def commit(kafka: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int], consumer: str) -> bool:
    """Commit; False when the group or the broker did not let us, which the inbox makes harmless."""
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
    """Have the partition read again from `offset`, after the others have had their turn."""
    try:
        kafka.seek(place, offset)
    except IllegalStateError:
        log.info("partition has gone to another member", consumer=consumer, partition=place.partition)
