"""The limits of messaging. Each names its unit; each comes from the environment."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class MessagingSettings(BaseSettings):
    """Limits of the relay and of consumers. The brokers themselves are named in `ServiceSettings`."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    outbox_retention_days: float = Field(7.0, description="published events are kept for republishing, days")
    outbox_prune_interval_s: float = Field(
        600.0, description="pause between two prunings of published events, seconds"
    )
    event_retention_days: float = Field(
        7.0, description="events are kept on topics that are not compacted, days"
    )
    dead_letter_retention_days: float = Field(
        30.0, description="what a consumer could not handle is kept on its dead-letter topic, days"
    )
    compaction_within_h: float = Field(
        24.0, description="superseded and deleted state is gone from compacted topics within, hours"
    )
    tombstone_retention_days: float = Field(
        30.0,
        description="how long compacted topics keep that something was deleted, days: longer than a consumer "
        "may be away",
    )
    inbox_retention_days: float = Field(
        30.0,
        description="handled events are remembered, days: not shorter than they are kept on a topic or for republishing",
    )
    inbox_prune_interval_s: float = Field(
        3600.0, description="pause between two prunings of what is remembered of handled events, seconds"
    )

    relay_batch_events_max: int = Field(500, description="events that the relay sends and records together")
    relay_poll_min_s: float = Field(
        0.05,
        description="pause of the relay after a poll that found events, seconds: what is committed meanwhile "
        "goes together",
    )
    relay_poll_max_s: float = Field(
        1.0, description="longest pause of the relay between two polls that no commit has asked for, seconds"
    )
    relay_send_timeout_s: float = Field(
        4.0, description="longest that one attempt of the relay at a batch may take, seconds"
    )
    relay_send_attempts_max: int = Field(
        2, ge=1, description="attempts at a batch before the relay begins anew with other connections"
    )
    relay_log_check_interval_s: float = Field(
        2.0, description="pause between two checks of the relay for lost logs, seconds"
    )
    relay_check_timeout_s: float = Field(
        10.0, description="longest that a check of the relay for lost logs may take, seconds"
    )
    relay_leader_retry_s: float = Field(
        1.0, description="pause between two attempts of a relay to lead, seconds"
    )

    consumer_batch_events_max: int = Field(
        500, description="events that a consumer fetches and handles together"
    )
    consumer_poll_s: float = Field(2.0, description="longest wait of one poll of a consumer, seconds")
    consumer_check_interval_s: float = Field(
        2.0,
        description="pause between two checks of a consumer on its topics: how far behind it is, and whether "
        "records were lost, seconds",
    )
    consumer_command_interval_s: float = Field(
        10.0,
        description="pause between two checks of a consumer for a rebuild that was ordered and not heard of, "
        "seconds",
    )
    consumer_attempts_max: int = Field(
        3, description="attempts at an event before a consumer puts it aside as a dead letter"
    )
    consumer_backoff_min_s: float = Field(
        0.1, description="first pause of a consumer before another attempt, seconds"
    )
    consumer_backoff_max_s: float = Field(
        5.0, description="longest pause of a consumer before another attempt, seconds"
    )
    consumer_session_timeout_s: float = Field(
        10.0, description="time without a sign of life after which a consumer has left its group, seconds"
    )
    consumer_round_s: float = Field(
        15.0,
        description="longest that fetched events are worked on before the next poll; the rest is read again, seconds",
    )
    consumer_silent_after_s: float = Field(
        60.0,
        description="time without any answer of the brokers after which a consumer opens its connections "
        "anew, seconds",
    )
    consumer_stuck_after_s: float = Field(
        60.0,
        description="time without a poll or a handled event after which a consumer counts as stuck, seconds",
    )

    @model_validator(mode="after")
    def _what_can_come_again_is_remembered(self) -> Self:
        """Events come again when a log was lost or is read anew; those that are not remembered would have effects twice."""
        for name in ("outbox_retention_days", "event_retention_days"):
            if self.inbox_retention_days < getattr(self, name):
                raise ValueError(
                    f"INBOX_RETENTION_DAYS is less than {name.upper()}: effects would be repeated"
                )
        return self
