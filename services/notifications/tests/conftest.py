"""A database with the service's tables, and the service's parts over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from creneau_notifications.channels.channel import Carrier
from creneau_notifications.channels.email.channel import EmailCarrier
from creneau_notifications.channels.email.smtp import SmtpTransport
from creneau_notifications.channels.email.transport import EmailTransport
from creneau_notifications.channels.registry import CHANNELS, Channels, media
from creneau_notifications.channels.sms.channel import SmsCarrier
from creneau_notifications.channels.sms.transport import LoggedSms, SmsTransport
from creneau_notifications.delivery.admission import Admission
from creneau_notifications.delivery.ledger import Ledger
from creneau_notifications.delivery.sender import DeliveryLimits, Sender, Way
from creneau_notifications.domain.allowance import Allowance
from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.retry import RetryPolicy
from creneau_notifications.domain.visit import PARIS, Fact
from creneau_notifications.handlers import Notifications
from creneau_notifications.storage.addresses import Keyring
from creneau_notifications.storage.communications import Communications
from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database
from creneau_shared.fhir.json import loads

from .factories import BOOKED_AT, CAMILLE, LOCATION, PRACTITIONER, SITE
from .mailbox import Mailbox, open_mailbox

ADDRESS_KEY = "a key of tests"
LINK_LIFE = timedelta(days=30)
SENDER = "ne-pas-repondre@creneau.example"


@dataclass
class Service:
    """The service over one database, with a clock that the test moves."""

    url: str
    database: Database
    clock: FixedClock
    communications: Communications
    notifications: Notifications
    channels: Channels = field(default_factory=lambda: CHANNELS)
    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    """of channels of the test's own"""

    async def hear(self, event: AppointmentEvent) -> None:
        async with self.database.transaction() as connection:
            await self.notifications.appointments_changed(connection, [event])

    async def learn(
        self, *, contact: Contact | None = CAMILLE, facts: Sequence[Fact] = (PRACTITIONER, LOCATION)
    ) -> None:
        """Feed the replicas."""
        now = self.clock.now()
        async with self.database.transaction() as connection:
            if contact is not None:
                await self.notifications.contact_changed(connection, contact, now)
            for fact in facts:
                await self.notifications.fact_changed(connection, fact, now, now)

    def sender(
        self,
        email: EmailTransport,
        sms: SmsTransport | None = None,
        *,
        attempts_max: int = 5,
        allowance: Allowance | None = None,
        look_max_s: float = 0.01,
        lanes: Sequence[Mapping[str, Carrier]] = (),
        batch_rows: int = 10,
        batch_rows_max: int = 10,
        offered: Collection[str] | None = None,
    ) -> Sender:
        """`lanes`: more than the one of `email` and `sms`. `offered`: channels by which is planned; None: all."""
        limits = DeliveryLimits(
            batch_rows=batch_rows,
            batch_rows_max=batch_rows_max,
            lease=timedelta(minutes=5),
            poll_s=0.01,
            look_max_s=look_max_s,
            facts_patience=timedelta(seconds=60),
            facts_retry=timedelta(seconds=2),
            retry=RetryPolicy(attempts_max=attempts_max),
        )
        carriers: dict[str, Carrier] = {
            "email": EmailCarrier(email, SENDER, "Créneau"),
            "sms": SmsCarrier(sms or LoggedSms()),
            **self.carriers,
        }
        admission = Admission(Keyring(ADDRESS_KEY), allowance or Allowance(day_max=1000), LINK_LIFE)
        return Sender(
            self.database,
            self.communications,
            Ledger(self.database, self.communications, self.clock),
            lanes=[
                {name: Way(self.channels[name], carrier) for name, carrier in one.items()}
                for one in (carriers, *lanes)
            ],
            offered=carriers if offered is None else offered,
            site_url=SITE,
            reader_zone=PARIS,
            limits=limits,
            admission=admission,
            clock=self.clock,
            chance=lambda: 0.5,
        )

    def smtp_sender(self, mailbox: Mailbox, **options: Any) -> Sender:
        return self.sender(SmtpTransport(mailbox.url, tls="opportunistic", timeout_s=30), **options)

    async def messages(self) -> list[asyncpg.Record]:
        return await self.database.pool.fetch("SELECT * FROM message ORDER BY due_at, kind")

    async def statuses(self) -> dict[str, tuple[str, str | None]]:
        """(status, reason) by kind or rule."""
        return {row["rule"] or row["kind"]: (row["status"], row["reason"]) for row in await self.messages()}

    async def attempts(self) -> list[tuple[Any, ...]]:
        rows = await self.database.pool.fetch(
            "SELECT result, smtp_code, message_id FROM attempt ORDER BY key"
        )
        return [tuple(row) for row in rows]

    async def communication(self, message: object) -> dict[str, Any]:
        content = await self.database.pool.fetchval(
            "SELECT content FROM communication WHERE id = $1", str(message)
        )
        resource: dict[str, Any] = loads(content)
        return resource

    def at(self, instant: datetime) -> None:
        self.clock.instant = instant


@pytest.fixture(scope="session")
async def template(postgres_server: Any) -> str:
    """A migrated database, to be copied."""
    name = "notifications_template"
    await migrate(find_migrations("creneau_notifications"), postgres_server.create_database(name))
    return name


@pytest.fixture
async def service(emptied_database: Callable[..., str], template: str) -> AsyncIterator[Service]:
    """The service over an empty database, at the time of the booking."""
    url = emptied_database(template=template)
    async with Database(url, size=8, statement_timeout_s=60, name="test") as database:
        clock = FixedClock(BOOKED_AT)
        communications = Communications("http://127.0.0.1:8080/fhir", media())
        notifications = Notifications(communications, clock, CHANNELS, Keyring(ADDRESS_KEY))
        yield Service(url, database, clock, communications, notifications)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server on a free port."""
    async with open_mailbox() as opened:
        yield opened
