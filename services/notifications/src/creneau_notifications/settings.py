"""What the notifications service can be told from the environment, beside what every service can.

What one channel can be told stands in its folder.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr, field_validator

from creneau_notifications.domain.allowance import Allowance
from creneau_notifications.domain.codes import CodeLimits, Pace
from creneau_notifications.domain.retry import RetryPolicy
from creneau_notifications.domain.visit_links import VisitLinkRules
from creneau_shared.clock import zone_named
from creneau_shared.settings import ServiceSettings


class NotificationsSettings(ServiceSettings):
    """Settings of the notifications service."""

    public_site_url: str = Field(
        "http://127.0.0.1:8080", description="pages for the public that messages link to, no trailing slash"
    )

    reader_zone: str = Field(
        "Europe/Paris",
        description="by which clock people live whose address does not say it (IANA name): a time by another clock is "
        "told with its zone",
    )

    delivery_senders: int = Field(
        4,
        ge=0,
        description="senders within a worker; 0 where processes of their own send (`creneau-notifications sender`)",
    )
    delivery_senders_apart: int = Field(
        2, ge=1, description="senders within a process of `creneau-notifications sender`"
    )
    delivery_connections: int = Field(
        5, ge=1, description="messages that one sender sends at once, each over a connection of its own"
    )
    delivery_batch_rows: int = Field(10, ge=1, description="messages that one sender claims at a time")
    delivery_batch_rows_max: int = Field(
        40,
        ge=1,
        description="messages that one sender claims at a time while more is due than it claims: each time "
        "twice as many, up to this",
    )
    delivery_lease_s: float = Field(
        480.0,
        description="time after which a claimed message may be claimed again, because its sender is gone, "
        "seconds; see SMTP_FINAL_TIMEOUT_S",
    )
    delivery_poll_s: float = Field(
        0.5, description="pause of a sender while what is due is in others' hands, seconds"
    )
    delivery_look_max_s: float = Field(
        10.0, gt=0, description="longest pause of a sender between two checks for due messages, seconds"
    )
    watch_interval_s: float = Field(
        30.0,
        gt=0,
        description="pause between two checks of a worker for overdue messages and dead letters, seconds",
    )
    delivery_attempts_max: int = Field(
        30,
        ge=1,
        description="tries of one message, at the most; one that came to no server, or to one that let nobody in, does not count",
    )
    facts_patience_s: float = Field(
        60.0,
        description="how long a due message waits for an address and the directory's facts, seconds; for a contact that was "
        "never heard of, as long as it is of use",
    )
    facts_retry_s: float = Field(
        2.0,
        description="pause between two checks for an address or facts of the directory that a due message "
        "lacks, seconds",
    )

    address_secret: str = Field(
        "",
        description="key of the hashes of addresses, and of the links to confirm them and to visits, the same in all processes;"
        " empty: made of DATABASE_URL",
    )
    unconfirmed_messages_max: int = Field(
        3,
        ge=0,
        description="messages in all to an address that a patient's account gave and nobody has confirmed",
    )
    unconfirmed_news_reserve: int = Field(
        1,
        ge=0,
        description="messages, of UNCONFIRMED_MESSAGES_MAX, that are kept for moves and cancellations",
    )
    unconfirmed_count_days: int = Field(
        365,
        ge=1,
        description="days without a message after which what an address was sent is no longer counted",
    )
    confirmation_link_days: int = Field(30, ge=1, description="how long a link to confirm works, days")
    address_refusal_days: int = Field(
        365,
        ge=1,
        description="days during which an address whose owner said “not me” receives only messages that a "
        "practice vouches for",
    )
    messages_per_address_day_max: int = Field(
        20, ge=1, description="messages to one address in one day (UTC), confirmed or not"
    )

    contact_signing_key: SecretStr = Field(
        SecretStr(""),
        description="private key (JWK, JSON) with which tokens for people without an account are signed; its public part is in"
        " CONTACT_KEYS; empty: no codes are sent",
    )
    contact_token_s: float = Field(
        3600.0,
        gt=0,
        le=3600,
        description="how long somebody without an account is logged in by a code, seconds",
    )
    code_lifetime_s: float = Field(600.0, gt=0, description="how long a one-time code works, seconds")
    code_tries_max: int = Field(5, ge=1, description="tries of one code")
    code_window_s: float = Field(
        600.0, gt=0, description="within how long CODE_WINDOW_MAX codes may be sent to one address, seconds"
    )
    code_window_max: int = Field(
        3, ge=1, description="codes, or new links, to one address within CODE_WINDOW_S"
    )
    code_day_max: int = Field(10, ge=1, description="codes, or new links, to one address within 24 hours")
    codes_per_network_hour_max: int = Field(
        60,
        ge=1,
        description="codes, or new links, that one network (an IPv4 address, an IPv6 /64) may ask for in an hour, to whomever;"
        " establishments and mobile operators share addresses; without GATEWAY_SECRET no network is known, nor counted",
    )
    codes_per_network_day_max: int = Field(
        300, ge=1, description="codes, or new links, that one network may ask for within 24 hours"
    )
    note_sendings_max: int = Field(
        10,
        ge=1,
        description="codes and new links that one api process sends at once, each over a connection of its own",
    )
    note_sending_timeout_s: float = Field(
        10.0,
        gt=0,
        description="longest that a caller waits for a code or a new link to leave before 503, seconds",
    )
    link_tries_max: int = Field(
        5, ge=1, description="wrong answers to the link of a message, after which it works no more"
    )
    link_after_visit_h: float = Field(
        24.0, ge=0, description="how long the link of a message works after the visit has begun, hours"
    )
    link_token_s: float = Field(
        1800.0,
        gt=0,
        le=3600,
        description="lifetime of the token that a correctly answered link gives, by which the person sees, "
        "moves or cancels the one visit, seconds",
    )

    codes_kept_h: float = Field(
        24.0,
        ge=24,
        description="how long ended codes are kept, and when codes went to an address or were asked for from a network, hours",
    )
    message_retention_days: int = Field(
        730, description="how long messages, their attempts and Communications are kept after the visit, days"
    )
    deleted_facts_kept_days: int = Field(
        30,
        ge=1,
        description="days for which names and addresses of deleted directory entries are kept, so that the "
        "last messages can name them",
    )
    erasure_interval_s: float = Field(
        5.0, gt=0, description="pause between two checks for people who can be forgotten, seconds"
    )
    erasure_forget_within_h: float = Field(
        24.0,
        gt=0,
        description="time within which somebody of whom only the erasure is known is forgotten too, hours",
    )

    @field_validator("reader_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if zone_named(value) is None:
            raise ValueError("READER_ZONE must be a zone of the IANA database, for example Europe/Paris")
        return value

    @property
    def address_key(self) -> str:
        """The key of the addresses' hashes."""
        return self.address_secret or f"addresses of {self.database_url}"

    @property
    def allowance(self) -> Allowance:
        """How much one address is sent."""
        return Allowance(
            self.unconfirmed_messages_max, self.unconfirmed_news_reserve, self.messages_per_address_day_max
        )

    @property
    def code_limits(self) -> CodeLimits:
        """How one-time codes are made and used."""
        return CodeLimits(
            lifetime=timedelta(seconds=self.code_lifetime_s),
            tries_max=self.code_tries_max,
            to_letter_box=Pace(
                timedelta(seconds=self.code_window_s), self.code_window_max, self.code_day_max
            ),
            from_network=Pace(
                timedelta(hours=1), self.codes_per_network_hour_max, self.codes_per_network_day_max
            ),
        )

    @property
    def link_rules(self) -> VisitLinkRules:
        """How long links to visits work."""
        return VisitLinkRules(
            after_visit=timedelta(hours=self.link_after_visit_h),
            tries_max=self.link_tries_max,
            token_lifetime=timedelta(seconds=self.link_token_s),
        )

    @property
    def retry_policy(self) -> RetryPolicy:
        """How failed deliveries are tried again."""
        return RetryPolicy(attempts_max=self.delivery_attempts_max)
