"""What happens when the parts around the API fail, when its clients do, and when a request takes too long."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from services.booking.tests.client import reason
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, unique
from services.booking.tests.issuer import Issuer, running_issuer
from services.booking.tests.practice import Agenda, Practice
from tests.fixtures.served import served

from creneau_booking.app import create_app
from creneau_booking.settings import BookingSettings
from creneau_shared.app import ServiceApplication

POOL = 4
WITHIN_S = 60.0
LIMIT_S = 2.5
"""request time limit, where a test is about it: whoever waits for nobody keeps it on a busy machine, too"""


class Line:
    """The way to PostgreSQL: it can be cut, go silent, and be mended."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._parts = parts
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        user, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    async def mend(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def silence(self) -> None:
        """Connections stay, and nothing comes through them."""
        self._flows.clear()

    async def cut(self) -> None:
        """Connections break, and new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        self._flows.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(*self._target)
        self._writers |= {writer, there[1]}
        await asyncio.gather(self._carry(reader, there[1]), self._carry(there[0], writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)


@dataclass
class Desk:
    """The API on a real port, with a small pool, and the way to its database."""

    app: ServiceApplication
    port: int
    line: Line
    issuer: Issuer
    practice: Practice
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        token = self.issuer.token("software", unique("logiciel"))
        self.head = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/fhir", timeout=WITHIN_S)

    async def book(self, slot: str, agenda: Agenda, **more: str) -> httpx.Response:
        return await self.client.post(
            "/Appointment", json=booking(slot, agenda), headers={**self.head, **more}
        )

    async def works_again(self) -> None:
        """The service recovers by itself, and no connection of its pool is lost."""
        await eventually(self._answers)
        assert await self.free_connections() == POOL

    async def _answers(self) -> bool:
        return (await self.client.get("/Slot", params={"_count": "0"})).status_code == 200

    async def free_connections(self) -> int:
        """How many connections the pool can give at once, up to its size."""
        pool = self.app.fhir.service.database.pool
        taken = []
        try:
            for _ in range(POOL):
                connection = await pool.acquire(timeout=WITHIN_S)
                taken.append(connection)
                assert await connection.fetchval("SELECT 1") == 1
            return len(taken)
        finally:
            for connection in taken:
                await pool.release(connection)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not await holds():
        assert time.monotonic() < deadline, "it does not recover"
        await asyncio.sleep(0.05)


def booking(slot: str, agenda: Agenda) -> dict[str, Any]:
    index = agenda.slots.index(slot)
    return appointment("booked", slots=[slot], actors=[agenda.practitioner], start=agenda.at(index))


@asynccontextmanager
async def opened(practice: Practice, **changed: Any) -> AsyncIterator[Desk]:
    line = Line(str(practice.settings.database_url))
    await line.mend()
    async with running_issuer() as issuer:
        settings = settings_for(line.url, issuer.url)
        values = {**settings.model_dump(), "database_pool_size": POOL, **changed}
        app = create_app(BookingSettings(**values), practice.clock)
        async with served(app) as port:
            desk = Desk(app, port, line, issuer, practice)
            async with desk.client:
                yield desk
            await line.mend()
    await line.cut()


@pytest.fixture(scope="module")
async def desk(practice: Practice) -> AsyncIterator[Desk]:
    async with opened(practice) as desk:
        yield desk


@pytest.fixture(scope="module")
async def hurried(practice: Practice) -> AsyncIterator[Desk]:
    """An API whose requests may take no more than `LIMIT_S`."""
    async with opened(practice, request_timeout_s=LIMIT_S) as desk:
        yield desk


def away(answer: httpx.Response) -> str:
    """The issue code of a 503 that says when to come back."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert reason(answer)
    return str(outcome["issue"][0]["code"])


# -- what it stands on -------------------------------------------------------------------------------------------


async def test_the_database_is_away(desk: Desk) -> None:
    """Reads and bookings say 503 and when to come back; readiness fails; all is well again without a restart."""
    agenda = await desk.practice.open_agenda()
    assert (await desk.book(agenda.slots[0], agenda)).status_code == 201
    await desk.line.cut()
    for _ in range(2):
        assert away(await desk.client.get("/Slot", params={"schedule": agenda.id})) == "transient"
        assert away(await desk.book(agenda.slots[1], agenda)) == "transient"
    ready = await desk.client.get(f"http://127.0.0.1:{desk.port}/health/ready")
    assert ready.status_code == 503
    assert await desk.practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]
    await desk.line.mend()
    await desk.works_again()
    assert (await desk.book(agenda.slots[1], agenda)).status_code == 201


async def test_the_database_is_silent(hurried: Desk) -> None:
    """Connections that say nothing cost one request its time, not the service: 503 timeout, and it recovers."""
    agenda = await hurried.practice.open_agenda()
    await hurried.works_again()
    hurried.line.silence()
    answers = await asyncio.gather(*(hurried.book(agenda.slots[0], agenda) for _ in range(POOL * 2)))
    assert {away(answer) for answer in answers} == {"timeout"}
    await hurried.line.mend()
    await hurried.works_again()


async def test_the_database_falls_silent_within_a_transaction(hurried: Desk) -> None:
    """What cannot even be undone in time is given up with its connection; the server undoes it."""
    agenda = await hurried.practice.open_agenda()
    async with hurried.practice.database.transaction() as connection:
        await hurried.practice.slots.lock(connection, agenda.slots[0])
        asked = asyncio.create_task(hurried.book(agenda.slots[0], agenda))
        await eventually(lambda: _waits_for_a_row(hurried.practice))
        hurried.line.silence()
        assert away(await asked) == "timeout"
    await hurried.line.cut()
    await hurried.line.mend()
    await hurried.works_again()
    assert await hurried.practice.slot_statuses(agenda.slots) == ["free"] * 3


async def _waits_for_a_row(practice: Practice) -> bool:
    """Whether somebody in this database waits for a lock that a transaction has."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await practice.database.pool.fetchval(waiting))


async def test_the_identity_provider_is_away(practice: Practice) -> None:
    """Who logs in hears 503; public information is read all the same; a token is accepted soon after its issuer is back: its
    silence is remembered for some seconds."""
    agenda = await practice.open_agenda()
    async with opened(practice) as desk:

        async def is_booked() -> bool:
            return bool((await desk.book(agenda.slots[0], agenda)).status_code == 201)

        desk.issuer.away = True
        assert away(await desk.book(agenda.slots[0], agenda)) == "transient"
        assert (await desk.client.get("/Slot", params={"schedule": agenda.id})).json()["total"] == 3
        desk.issuer.away = False
        await eventually(is_booked)


# -- time --------------------------------------------------------------------------------------------------------


async def test_a_request_that_takes_too_long_is_undone(hurried: Desk) -> None:
    """Somebody keeps the slot's row: 503 timeout within the limit, and nothing of the booking is there afterwards."""
    agenda = await hurried.practice.open_agenda()
    key = {"Idempotency-Key": unique("cle")}
    async with hurried.practice.database.transaction() as connection:
        await hurried.practice.slots.lock(connection, agenda.slots[0])
        answer = await hurried.book(agenda.slots[0], agenda, **key)
        assert away(answer) == "timeout"
    assert await hurried.practice.slot_statuses(agenda.slots) == ["free"] * 3
    assert await hurried.practice.occupied(agenda.practitioner) == []
    await hurried.works_again()
    assert (await hurried.book(agenda.slots[0], agenda, **key)).status_code == 201


async def test_a_body_that_trickles_takes_no_longer_than_the_limit(hurried: Desk) -> None:
    """A client that sends byte by byte hears of it; others are served meanwhile; nothing half-done is stored."""
    agenda = await hurried.practice.open_agenda()
    body = json.dumps(booking(agenda.slots[0], agenda)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", hurried.port)
    writer.write(request_head(hurried, len(body)) + body[:20])

    async def trickle() -> None:
        for byte in body[20:-1]:
            writer.write(bytes([byte]))
            await asyncio.sleep(LIMIT_S / 20)

    trickling = asyncio.create_task(trickle())
    assert (await hurried.client.get("/Slot", params={"schedule": agenda.id})).status_code == 200
    async with asyncio.timeout(WITHIN_S):
        head = await reader.readuntil(b"\r\n\r\n")
    trickling.cancel()
    writer.close()
    assert head.startswith((b"HTTP/1.1 408", b"HTTP/1.1 503")), head
    assert b"retry-after" in head.lower() or b" 408" in head
    assert await hurried.practice.slot_statuses(agenda.slots) == ["free"] * 3
    await hurried.works_again()


# -- clients that go away ----------------------------------------------------------------------------------------


def request_head(desk: Desk, length: int) -> bytes:
    lines = ["POST /fhir/Appointment HTTP/1.1", "Host: x", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in desk.head.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_a_client_that_goes_away_leaves_a_whole_booking_or_none(desk: Desk) -> None:
    """At many moments: the slot is taken with its appointment and its event, or free without; no connection is lost."""
    agenda = await desk.practice.open_agenda(48)
    chance = random.Random(7)
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await desk.book(agenda.slots[0], agenda)).status_code == 201
    usual = loop.time() - started

    async def leave(slot: str) -> None:
        body = json.dumps(booking(slot, agenda)).encode()
        whole = request_head(desk, len(body)) + body
        _, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(whole[: chance.choice((len(whole), len(whole), len(whole) - 1, 300))])
        await writer.drain()
        await asyncio.sleep(chance.uniform(0, usual * 2))
        writer.transport.abort()

    for at in range(1, 48, POOL):
        await asyncio.gather(*(leave(slot) for slot in agenda.slots[at : at + POOL]))

    async def quiet() -> bool:
        return bool(
            desk.app.fhir.service.database.pool.get_idle_size()
            == desk.app.fhir.service.database.pool.get_size()
        )

    await eventually(quiet)
    assert await desk.free_connections() == POOL
    statuses = await desk.practice.slot_statuses(agenda.slots)
    rows = await desk.practice.database.pool.fetch(
        "SELECT substr(term, 11) AS slot, id FROM appointment, unnest(terms) AS term"
        " WHERE terms && $1 AND starts_with(term, 'slot=Slot/')",
        [f"slot=Slot/{slot}" for slot in agenda.slots],
    )
    booked = {row["slot"]: row["id"] for row in rows}
    assert {slot for slot, status in zip(agenda.slots, statuses, strict=True) if status == "busy"} == set(
        booked
    )
    assert set(statuses) == {"busy", "free"}, "some moments were early and some late"
    taken = {appointment_id for _, _, appointment_id in await desk.practice.occupied(agenda.practitioner)}
    assert taken == set(booked.values())
    for appointment_id in booked.values():
        assert await desk.practice.kinds(appointment_id) == ["booked"]


async def test_requests_in_one_write(desk: Desk) -> None:
    """Pipelined bookings of one slot: each gets its own answer, in order, one of them broken, one of them too late."""
    agenda = await desk.practice.open_agenda()
    bodies = [json.dumps(booking(agenda.slots[0], agenda)).encode()] * 3
    bodies[1] = bodies[1][:-1] + b",}"
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(b"".join(request_head(desk, len(body)) + body for body in bodies))
    statuses = []
    async with asyncio.timeout(WITHIN_S):
        for _ in bodies:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
            statuses.append(int(head.split()[1]))
    writer.close()
    assert statuses == [201, 400, 409]


# -- the same, when everything comes at once ---------------------------------------------------------------------


async def test_more_callers_than_connections(desk: Desk, callers: Callers) -> None:
    """A pool of four and forty rivals: one wins, the others are told; all within their time."""
    agenda = await desk.practice.open_agenda()
    answers = await asyncio.gather(*(desk.book(agenda.slots[0], agenda) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 39
    assert await desk.free_connections() == POOL
