"""The definition of a topic. Each producing service declares its own topics."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.messaging.settings import MessagingSettings

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

REPLICAS_OF_A_CLUSTER = 3
"""with at least this number of replicas, one can be away and two still acknowledge"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One Kafka topic of the producing service.

    `compacted`: the last event of each key is kept for ever (state); otherwise events are kept for a stated time.
    `dead`: a dead-letter topic, of events that a consumer could not handle.
    `partitions`: None for the number that the settings give.
    """

    name: str
    compacted: bool = False
    dead: bool = False
    partitions: int | None = None

    def configuration(self, limits: MessagingSettings, replication_factor: int = 1) -> dict[str, str]:
        """The broker's settings of this topic (Kafka topic configuration names), with this number of replicas.

        With three or more replicas, an acknowledged record is in at least two: with the brokers' default, 1, it could be
        only in the replica that dies.

        On a compacted topic, superseded and deleted records are really removed within the stated time. Kafka compacts a
        segment only once it is closed, and by default only once half of a log is superseded; both are bounded here.
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
    """The topic for events of `topic` that consumer group `group` could not handle."""
    return Topic(name=f"{topic}.{group}.dead", dead=True, partitions=1)
