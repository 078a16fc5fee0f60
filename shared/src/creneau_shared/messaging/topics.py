"""What a topic is. Which topics there are is each producing service's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

DEAD_LETTER_RETENTION = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One Kafka topic of the producing service.

    `compacted`: the last event of each key is kept for ever (state); otherwise events are kept for
    `retention`.
    `partitions`: None for the number that the settings give.
    """

    name: str
    compacted: bool = False
    retention: timedelta = timedelta(days=7)
    partitions: int | None = None

    def configuration(self) -> dict[str, str]:
        """The broker's settings of this topic (Kafka topic configuration names)."""
        retention_ms = str(int(self.retention.total_seconds() * 1000))
        if self.compacted:
            return {"cleanup.policy": "compact", "delete.retention.ms": retention_ms}
        return {"cleanup.policy": "delete", "retention.ms": retention_ms}


def dead_letter_topic(topic: str, group: str) -> Topic:
    """Where consumer group `group` puts what it could not handle of `topic`."""
    return Topic(name=f"{topic}.{group}.dead", retention=DEAD_LETTER_RETENTION, partitions=1)
