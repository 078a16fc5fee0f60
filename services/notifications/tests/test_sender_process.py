"""Processes of `creneau-notifications sender`: any number share the work, and what one leaves behind another does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta

import pytest
from deploy.local.ports import free_port
from tests.fixtures.bells import hears

from creneau_notifications.app import create_senders, create_tasks
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.app import open_database
from creneau_shared.clock import SystemClock

from .conftest import Service
from .factories import event
from .mailbox import Mailbox

MESSAGES = 60
LANES = 3
WITHIN_S = 60


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await condition():  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.02)


async def plan(service: Service, count: int) -> None:
    """Confirmations that are due now, by the clock that the processes have."""
    await service.learn()
    now = SystemClock().now()
    start = now + timedelta(days=20)
    service.at(now)
    async with service.database.transaction() as connection:
        heard = [
            event(number=n, id=f"appointment-{n}", time=now, start=start, end=start + timedelta(minutes=20))
            for n in range(1, count + 1)
        ]
        await service.notifications.appointments_changed(connection, heard)


@asynccontextmanager
async def process(
    service: Service, mailbox: Mailbox, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One process that only sends; it has no broker, and needs none."""
    environment = {
        **os.environ,
        "DATABASE_URL": service.url,
        "PUBLIC_BASE_URL": "http://127.0.0.1:8080/fhir",
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "SMTP_URL": mailbox.url,
        "SMTP_TLS": "off",
        "MESSAGES_PER_ADDRESS_DAY_MAX": "1000000",
        **settings,
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "creneau_notifications.main", "sender", env=environment
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGTERM)
            async with asyncio.timeout(WITHIN_S):
                await started.wait()


async def count_of(service: Service, status: str) -> int:
    return int(
        await service.database.pool.fetchval(
            "SELECT count(*) FROM message WHERE status = $1 AND kind = 'confirmation'", status
        )
    )


def test_a_worker_may_leave_all_sending_to_them() -> None:
    """`DELIVERY_SENDERS=0`, and it claims nothing; its consumers go on."""
    settings = NotificationsSettings(database_url="postgresql://unused/unused", delivery_senders=0)
    tasks = create_tasks(settings, open_database(settings, "unused"), SystemClock())
    names = {task.name for task in tasks}
    assert "departures" in names
    assert not [name for name in names if name.startswith("sender")]


@pytest.mark.parametrize(
    ("changed", "starts"),
    [
        ({}, True),
        ({"SMTP_TIMEOUT_S": "34"}, True),
        ({"SMTP_TIMEOUT_S": "35"}, False),
        ({"SMTP_FINAL_TIMEOUT_S": "600"}, False),
        ({"SMTP_FINAL_TIMEOUT_S": "600", "DELIVERY_LEASE_S": "1000"}, True),
        ({"DELIVERY_LEASE_S": "300"}, False),
        ({"DELIVERY_LEASE_S": "300", "SMTP_URL": ""}, True),
    ],
)
def test_senders_whose_claims_would_end_while_they_send_do_not_start(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], starts: bool
) -> None:
    """Another would send the same message. Who sets this is told what to change."""
    for name, value in {"SMTP_URL": "smtp://mail.test", **changed}.items():
        monkeypatch.setenv(name, value)
    settings = NotificationsSettings(database_url="postgresql://unused/unused")
    told = nullcontext() if starts else pytest.raises(ValueError, match="raise DELIVERY_LEASE_S, or")
    with told:
        create_senders(settings, open_database(settings, "unused"), SystemClock(), 1)


async def test_senders_alone_hear_at_once_what_another_process_plans(
    service: Service, waiting: asyncio.Event
) -> None:
    """They are woken by the commit, not by their own clock: that rings in an hour. Begun as a process begins them."""
    settings = NotificationsSettings(
        database_url=service.url, public_base_url="http://127.0.0.1:8080/fhir", delivery_look_max_s=3600
    )

    async def heard() -> bool:
        return hears()

    async def sent() -> bool:
        return await count_of(service, "sent") == 1

    stop = asyncio.Event()
    async with open_database(settings, "sender") as database:
        tasks = create_senders(settings, database, SystemClock(), 1)
        running = [asyncio.ensure_future(task.run(stop)) for task in tasks]
        try:
            await until(heard)
            await asyncio.wait_for(waiting.wait(), WITHIN_S)
            await plan(service, 1)
            await until(sent)
        finally:
            stop.set()
            await asyncio.gather(*running)


async def test_two_processes_send_each_message_once_and_end_when_told(
    service: Service, mailbox: Mailbox
) -> None:
    """Both are at work, each by as many connections as it has lanes, at their first messages and at the next: no one alone
    has more in the server's hands."""
    mailbox.silent = first = asyncio.Event()
    apart = {"DELIVERY_SENDERS_APART": "1", "DELIVERY_CONNECTIONS": str(LANES)}
    async with process(service, mailbox, **apart) as one, process(service, mailbox, **apart) as other:
        await plan(service, MESSAGES)

        async def both_at_work() -> bool:
            return mailbox.waiting == 2 * LANES

        async def all_sent() -> bool:
            return await count_of(service, "sent") == MESSAGES

        await until(both_at_work)
        mailbox.silent, mailbox.waiting = asyncio.Event(), 0
        first.set()
        await until(both_at_work)
        mailbox.silent.set()
        await until(all_sent)
    assert (one.returncode, other.returncode) == (0, 0)
    assert Counter(mail["Message-ID"] for mail in mailbox.mails).most_common(1)[0][1] == 1
    assert len(mailbox.mails) == MESSAGES
    assert mailbox.connections == 2 * LANES, "they are kept"


async def test_what_a_killed_process_had_in_hand_another_sends(service: Service, mailbox: Mailbox) -> None:
    """Killed while the mail server had the messages and said nothing yet: they go again, with the same Message-IDs."""
    mailbox.silent = asyncio.Event()
    await plan(service, MESSAGES)
    async with process(service, mailbox) as killed:

        async def in_hand() -> bool:
            return mailbox.waiting >= 1

        await until(in_hand)
        killed.kill()
        await killed.wait()
    await service.database.pool.execute("UPDATE message SET lease_until = now() WHERE status = 'sending'")
    assert await count_of(service, "sent") == 0
    mailbox.silent.set()
    mailbox.silent = None
    async with process(service, mailbox):

        async def all_sent() -> bool:
            return await count_of(service, "sent") == MESSAGES

        await until(all_sent)
    ids = await service.database.pool.fetch("SELECT id FROM message WHERE kind = 'confirmation'")
    assert {mail["Message-ID"].split("@")[0].strip("<") for mail in mailbox.mails} == {str(r[0]) for r in ids}
    interrupted = await service.database.pool.fetchval(
        "SELECT count(*) FROM attempt WHERE result = 'interrupted'"
    )
    assert interrupted >= 1, "nobody knows whether these got through, and it is said"
