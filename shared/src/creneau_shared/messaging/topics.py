"""What a topic is. Which topics there are is each producing service's business."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.messaging.settings import MessagingSettings

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


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

    def configuration(self, limits: MessagingSettings) -> dict[str, str]:
        """The broker's settings of this topic (Kafka topic configuration names).

        Of a compacted topic: what is superseded or deleted is really gone within the stated time. A segment is only
        compacted once it is closed, and by default only once half of a log is superseded; both are bounded here.
        """
        if self.compacted:
            within_ms = str(int(limits.compaction_within_h * _HOUR_MS))
            return {
                "cleanup.policy": "compact",
                "delete.retention.ms": str(int(limits.tombstone_retention_days * _DAY_MS)),
                "max.compaction.lag.ms": within_ms,
                "segment.ms": within_ms,
            }
        days = limits.dead_letter_retention_days if self.dead else limits.event_retention_days
        return {"cleanup.policy": "delete", "retention.ms": str(int(days * _DAY_MS))}


def dead_letter_topic(topic: str, group: str) -> Topic:
    """Where consumer group `group` puts what it could not handle of `topic`."""
    return Topic(name=f"{topic}.{group}.dead", dead=True, partitions=1)
