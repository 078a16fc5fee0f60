"""Consumers that withdraw and senders that put down wait for each other, never both for one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from creneau_notifications.channels.registry import CHANNELS
from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.domain.plan import Kind, message_id
from creneau_notifications.storage import addresses, departures, messages
from creneau_notifications.storage.addresses import Keyring, Link
from creneau_notifications.storage.messages import Claimed, Closing, Message, Postponement, Status
from creneau_shared.database.pool import Database

from .conftest import ADDRESS_KEY, LINK_LIFE, Service
from .factories import CAMILLE, PATIENT, START, event
from .mailbox import Mailbox

SENT = Closing(Status.SENT, None)
AGAIN = Postponement(START)
WITHIN_S = 30


def events() -> list[AppointmentEvent]:
    """Of three appointments: the ids of their confirmations descend, as an index would have them."""

    def confirmation(number: int) -> str:
        return str(message_id(event(number=number).id, Kind.CONFIRMATION, "", PATIENT, "email"))

    numbers = sorted(range(1, 4), key=confirmation, reverse=True)
    return [event(number=number, id=f"appointment-{place}") for place, number in enumerate(numbers)]


@pytest.fixture
async def database(service: Service) -> AsyncIterator[Database]:
    """Sessions that find rows by indexes, as they would among many: each statement in an order of its own."""
    name = service.url.rpartition("/")[2]
    for setting in ("enable_seqscan", "enable_bitmapscan"):
        await service.database.pool.execute(f'ALTER DATABASE "{name}" SET {setting} = off')
    async with Database(service.url, size=4, statement_timeout_s=WITHIN_S, name="ordered") as database:
        yield database
    await service.database.pool.execute(f'ALTER DATABASE "{name}" RESET ALL')


async def claimed(service: Service) -> list[Message]:
    """Three confirmations in a sender's hands, by the order of their ids."""
    now = service.clock.now()
    await service.learn()
    for one in events():
        await service.hear(one)
    async with service.database.transaction() as connection:
        due = await messages.look_for_due(connection, now, 3, CHANNELS)
        await messages.claim(connection, [Claimed(one, None) for one in due], now + timedelta(minutes=5))
    return sorted(due, key=lambda message: message.id)


async def waiting(connection: asyncpg.Connection, count: int) -> None:
    """Until so many sessions wait for a lock."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(WITHIN_S):
        while await connection.fetchval(waits) < count:  # noqa: ASYNC110 - the server says it to who asks
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "ends", [(SENT, SENT, SENT), (AGAIN, SENT, SENT)], ids=["all over", "one to be tried again"]
)
async def test_who_withdraws_and_who_puts_down_lock_in_one_order(
    service: Service, database: Database, ends: Sequence[Closing | Postponement]
) -> None:
    """Both come to the second of three messages while somebody holds it; who holds the third then would never end."""
    mine = await claimed(service)
    now = service.clock.now()

    async def withdraw() -> None:
        async with database.transaction() as connection:
            told = {message.appointment: message.event for message in mine}
            await messages.supersede(connection, told, dict.fromkeys(told, tuple(Kind)), {}, now)

    async def put_down() -> None:
        async with database.transaction() as connection:
            await messages.finish(connection, list(zip(mine, ends, strict=True)), now)

    holder, watch = await asyncpg.connect(service.url), await asyncpg.connect(service.url)
    held = holder.transaction()
    await held.start()
    await holder.execute("SELECT FROM message WHERE id = $1 FOR UPDATE", mine[1].id)
    async with asyncio.timeout(WITHIN_S):
        working = asyncio.gather(withdraw(), put_down(), return_exceptions=True)
        await waiting(watch, 2)
        await held.commit()
        assert list(await working) == [None, None]
    await holder.close()
    await watch.close()


@pytest.mark.parametrize("leaves", ["the contact", "the person"])
async def test_a_sender_and_what_forgets_a_recipient_lock_in_one_order(
    service: Service, mailbox: Mailbox, leaves: str
) -> None:
    """A sender has a message, then looks at what is known of the address; who forgets begins with the messages, too."""
    await service.learn(contact=replace(CAMILLE, email_vouched=False))
    await service.hear(event())
    mailbox.faults = ["RCPT 451 later"]
    await service.smtp_sender(mailbox).send_due()
    service.clock.advance(timedelta(minutes=5))
    now, keyring = service.clock.now(), Keyring(ADDRESS_KEY)
    address = keyring.hashed(CHANNELS["email"].address(str(CAMILLE.email)))

    async def forget() -> None:
        async with service.database.transaction() as connection:
            if leaves == "the contact":
                await service.notifications.contact_deleted(connection, PATIENT, service.clock.now())
            else:
                await departures.forget(connection, PATIENT, now)

    watch = await asyncpg.connect(service.url)
    async with asyncio.timeout(WITHIN_S), service.database.transaction() as sending:
        [message] = await messages.look_for_due(sending, now, 1, CHANNELS)
        forgetting = asyncio.create_task(forget())
        await waiting(watch, 1)
        link = Link(address, PATIENT, now + LINK_LIFE)
        await addresses.keep_link(sending, keyring.token(message.id, address), link)
    await forgetting
    assert await watch.fetchval("SELECT count(*) FROM address_link") == 0
    await watch.close()
