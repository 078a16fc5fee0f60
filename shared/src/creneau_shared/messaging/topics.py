"""What a topic is. Which topics there are is each producing service's business."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.messaging.settings import MessagingSettings

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

REPLICAS_OF_A_CLUSTER = 3
"""from so many replicas on, one can be away and two still acknowledge"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One Kafka topic of the producing service.

    `compacted`: the last event of each key is kept for ever (state); otherwise events are kept for a stated time.
    `dead`: what a consumer could not handle.
    `partitions`: None for the number that the settings give.
    """

    name: str
    compacted: bool = False
    dead: bool = False
    partitions: int | None = None

    def configuration(self, limits: MessagingSettings, replication_factor: int = 1) -> dict[str, str]:
        """The broker's settings of this topic (Kafka topic configuration names), kept in so many replicas.

        Where there are three or more, what is acknowledged is in two: with the brokers' default, 1, it could be in the
        one that dies.

        Of a compacted topic: what is superseded or deleted is really gone within the stated time. A segment is only
        compacted once it is closed, and by default only once half of a log is superseded; both are bounded here.
        """
        replicas = {"min.insync.replicas": "2"} if replication_factor >= REPLICAS_OF_A_CLUSTER else {}
        if self.compacted:
            within_ms = str(int(limits.compaction_within_h * _HOUR_MS))
            return replicas | {
                "cleanup.policy": "compact",
                "delete.retention.ms": str(int(limits.tombstone_retention_days * _DAY_MS)),
                "max.compaction.lag.ms": within_ms,
                "segment.ms": within_ms,
            }
        days = limits.dead_letter_retention_days if self.dead else limits.event_retention_days
        return replicas | {"cleanup.policy": "delete", "retention.ms": str(int(days * _DAY_MS))}


def dead_letter_topic(topic: str, group: str) -> Topic:
    """Where consumer group `group` puts what it could not handle of `topic`."""
    return Topic(name=f"{topic}.{group}.dead", dead=True, partitions=1)
