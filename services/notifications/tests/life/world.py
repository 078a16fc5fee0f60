"""The service over a database of its own, which can be emptied: its consumers, its senders, its API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from services.notifications.tests.conftest import ADDRESS_KEY, LINK_LIFE, Service
from services.notifications.tests.factories import SITE
from services.notifications.tests.life.facts import START
from services.notifications.tests.life.post import Mails, Post, TextCarrier
from services.notifications.tests.serving import serving

from creneau_notifications.app import create_app
from creneau_notifications.channels.channel import Carrier
from creneau_notifications.channels.email.channel import EmailCarrier
from creneau_notifications.channels.registry import CHANNELS, media
from creneau_notifications.delivery.admission import Admission
from creneau_notifications.delivery.ledger import Ledger, Outcome
from creneau_notifications.delivery.sender import Decision, DeliveryLimits, Sender, Way
from creneau_notifications.domain.allowance import Allowance
from creneau_notifications.domain.retry import RetryPolicy
from creneau_notifications.domain.visit import PARIS
from creneau_notifications.handlers import Notifications
from creneau_notifications.jobs import Departures
from creneau_notifications.messaging.consumers import consumers
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage.addresses import Keyring
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.messages import Message
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.events import ReceivedEvent

LEASE = timedelta(minutes=5)
PATIENCE = timedelta(seconds=60)
AT_ONCE = 500
"""more messages than are ever due together in a life: which of them a smaller batch has would be left to the database"""
_TABLES = """
SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""
_MESSAGES = """
SELECT message.*, (SELECT convert_from(content, 'UTF8') FROM communication
                   WHERE communication.id = message.id::text AND NOT deleted) AS shown
FROM message ORDER BY id
"""


class Lost(Ledger):
    """Of a sender that ends before it has put anything down."""

    async def put_down(self, outcome: Outcome) -> None:
        """Nothing is written."""


class InOrder(Sender):
    """Sends what is due at the same time in the order of its ids. The database gives it in any, and a life that Hypothesis lives
    again has to be the same."""

    async def _decide(
        self, connection: Connection, due: Sequence[Message], now: datetime
    ) -> list[tuple[Message, Decision]]:
        return await super()._decide(connection, sorted(due, key=lambda one: (one.due_at, one.id)), now)


@dataclass
class Town:
    """All of it, with a clock that the test moves."""

    service: Service
    client: httpx.AsyncClient
    settings: NotificationsSettings
    post: Post = field(default_factory=Post)
    slow: tuple[Post, asyncio.Task[int]] | None = None
    """a sender whose server does not answer, and its post"""
    topics: dict[str, Consumer] = field(default_factory=dict)

    async def begin_again(self) -> None:
        """Nobody is known, and nothing was heard."""
        await self.answer_slow()
        self.service.clock.instant = START
        self.post = Post()
        async with self.service.database.transaction() as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            tables = await connection.fetch(_TABLES)
            await connection.execute("; ".join(f"DELETE FROM {table}" for (table,) in tables))

    # -- hearing ---------------------------------------------------------------------------------------------

    def worker(self) -> None:
        """Other consumers take over."""
        service = self.service
        made = consumers(service.notifications, service.database, self.settings, service.clock)
        self.topics = {consumer.topics[0]: consumer for consumer in made}

    async def hear(self, topic: str, events: Sequence[ReceivedEvent], *, anew: bool) -> None:
        """What was handled is put down, unless it is read `anew`: so late that this is not known any more."""
        if anew:
            await self.service.database.pool.execute("DELETE FROM inbox")
        await self.topics[topic].effects.apply(events)

    # -- sending ---------------------------------------------------------------------------------------------

    def sender(self, post: Post, *, crashing: bool = False) -> Sender:
        service = self.service
        ledger = Lost if crashing else Ledger
        carriers: dict[str, Carrier] = {
            "email": EmailCarrier(Mails(post), "ne-pas-repondre@creneau.example", "Créneau"),
            "sms": TextCarrier(post),
        }
        limits = DeliveryLimits(
            AT_ONCE, AT_ONCE, LEASE, 0.01, 0.01, PATIENCE, timedelta(seconds=2), RetryPolicy(1000)
        )
        return InOrder(
            service.database,
            service.communications,
            ledger(service.database, service.communications, service.clock),
            lanes=[{name: Way(CHANNELS[name], carrier) for name, carrier in carriers.items()}],
            offered=carriers,
            site_url=SITE,
            reader_zone=PARIS,
            limits=limits,
            admission=Admission(Keyring(ADDRESS_KEY), Allowance(day_max=1000), LINK_LIFE),
            clock=service.clock,
            chance=lambda: 0.5,
        )

    async def look(self, *, crashing: bool = False) -> int:
        """A sender looks once for what is due."""
        return await self.sender(self.post, crashing=crashing).send_due()

    async def drain(self) -> None:
        while await self.look():
            pass

    async def look_slowly(self) -> None:
        """A sender looks; what it sends first is not answered until `answer_slow`."""
        post = replace(self.post, held=asyncio.Event(), outcomes=[])
        before = len(post.came)
        task = asyncio.create_task(self.sender(post).send_due())
        while not task.done() and len(post.came) == before:  # noqa: ASYNC110
            await asyncio.sleep(0)
        self.slow = post, task

    async def answer_slow(self) -> None:
        if self.slow is not None:
            (post, task), self.slow = self.slow, None
            if post.held is not None:
                post.held.set()
            await task

    # -- what there is ---------------------------------------------------------------------------------------

    async def messages(self) -> dict[UUID, asyncpg.Record]:
        return {row["id"]: row for row in await self.service.database.pool.fetch(_MESSAGES)}

    async def forget_due(self) -> list[str]:
        """Those whom the worker forgets now."""
        done = "SELECT recipient FROM departure WHERE done_at IS NOT NULL"
        pool = self.service.database.pool
        before = {row[0] for row in await pool.fetch(done)}
        await Departures(self.service.database, self.service.clock, 1).forget_due()
        return [row[0] for row in await pool.fetch(done) if row[0] not in before]

    async def open_link(self, token: str) -> tuple[int, dict[str, Any]]:
        named = [{"name": "token", "valueString": token}]
        body = {"resourceType": "Parameters", "parameter": named}
        answer = await self.client.post("/fhir/Appointment/$open-link", json=body)
        said = json.loads(answer.text)
        parts = said.get("parameter", ())
        return answer.status_code, {p["name"]: next(v for k, v in p.items() if k != "name") for p in parts}

    async def answer_for_address(self, token: str, answer: str) -> int:
        response = await self.client.post(f"/confirmer/{token}", content=f"answer={answer}")
        return response.status_code


@asynccontextmanager
async def a_town(url: str) -> AsyncIterator[Town]:
    """Ready to begin."""
    settings = NotificationsSettings(
        database_url=url,
        oidc_issuer="http://127.0.0.1:1",
        public_base_url="http://test/fhir",
        public_site_url=SITE,
        address_secret=ADDRESS_KEY,
        vouching_secret="between booking and notifications",
        anonymous_requests_per_s=0,
    )
    async with Database(url, size=6, statement_timeout_s=60, name="test") as database:
        clock = FixedClock(START)
        communications = Communications("http://test/fhir", media())
        notifications = Notifications(communications, clock, CHANNELS, Keyring(ADDRESS_KEY))
        service = Service(url, database, clock, communications, notifications)
        async with serving(create_app(settings, clock), "http://test") as client:
            town = Town(service, client, settings)
            town.worker()
            yield town


def received(
    topic: str, key: str, kind: str, number: int, time: datetime, data: dict[str, Any] | None
) -> ReceivedEvent:
    return ReceivedEvent(
        topic=topic,
        key=key,
        type=kind,
        subject=key,
        source="/creneau/test",
        data=data,
        time=time,
        id=UUID(int=number),
        partition=0,
        offset=number,
        raw=None,
        generation=1,
    )
