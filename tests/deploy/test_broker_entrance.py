"""The embedded broker's entrance, before a broker that only counts: what is asked of it, and when a client is answered."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest_v11
from aiokafka.protocol.produce import ProduceRequest_v3
from deploy.local import broker_entrance
from deploy.local.broker_entrance import FETCH, PRODUCE, Request, stand_before
from deploy.local.child import Command
from deploy.local.ports import LOOPBACK, free_port

HOUR_MS = 3_600_000
WITHIN_S = 30.0
RECORD = b"a record"


@dataclass
class CountingBroker:
    """Answers every fetch with what its topics hold, and every other request with nothing."""

    port: int
    asked: list[int] = field(default_factory=list)
    """the kind of each request"""
    records: bytes = b""
    too_busy: int = 0
    """how many fetches more it answers without having looked"""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                request = Request.of(await reader.readexactly(length))
                self.asked.append(request.key)
                answer = request.data[4:8] + (self._fetched(request) if request.key == FETCH else b"")
                writer.write(struct.pack(">i", len(answer)) + answer)
        except asyncio.IncompleteReadError:
            writer.close()

    def _fetched(self, request: Request) -> bytes:
        """Version 11: one topic, whose partitions all hold the same."""
        if self.too_busy:
            self.too_busy -= 1
            return struct.pack(">ihi i", 0, 0, 0, 0)
        _, partitions = request.fetched()
        head = struct.pack(">ihi i h1s i", 0, 0, 0, 1, 1, b"t", partitions)
        of_each = struct.pack(">ihqqqiii", 0, 0, 0, 0, 0, 0, -1, len(self.records)) + self.records
        return head + of_each * partitions


class Client:
    """Sends requests as aiokafka writes them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._number = reader, writer, 0

    async def ask(self, request: Any) -> bytes:
        """The answer's body."""
        self._number += 1
        header = struct.pack(">hhih4s", request.API_KEY, request.API_VERSION, self._number, 4, b"test")
        message = header + request.encode()
        self._writer.write(struct.pack(">i", len(message)) + message)
        (length,) = struct.unpack(">i", await self._reader.readexactly(4))
        answer = await self._reader.readexactly(length)
        assert answer[:4] == struct.pack(">i", self._number)
        return answer[4:]

    async def fetch(self, topic: str = "t", *, wait_ms: int = HOUR_MS, partitions: int = 1) -> bytes:
        wanted = [(number, -1, 0, -1, 1_000_000) for number in range(partitions)]
        return await self.ask(
            FetchRequest_v11(-1, wait_ms, 1, 1_000_000, 0, 0, -1, [(topic, wanted)], [], "")
        )

    async def produce(self, topic: str) -> None:
        await self.ask(ProduceRequest_v3(None, -1, 1000, [(topic, [(0, b"records")])]))

    def close(self) -> None:
        self._writer.close()


Connect = Callable[[], Any]


@pytest.fixture
async def broker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CountingBroker]:
    """One that is believed at once."""
    monkeypatch.setattr(broker_entrance, "AGAIN_S", ())
    counting = CountingBroker(free_port())
    server = await asyncio.start_server(counting.serve, LOOPBACK, counting.port)
    yield counting
    server.close()


@pytest.fixture
async def connect(broker: CountingBroker) -> AsyncIterator[Connect]:
    """A new client of the entrance, at each call."""
    port, clients = free_port(), list[Client]()
    entrance = await stand_before(broker.port, port)

    async def client() -> Client:
        clients.append(Client(*await asyncio.open_connection(LOOPBACK, port)))
        return clients[-1]

    yield client
    for one in clients:
        one.close()
    entrance.close()


async def until_asked(broker: CountingBroker, *kinds: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while broker.asked != list(kinds):  # noqa: ASYNC110 - the broker is what is looked at
            await asyncio.sleep(0.01)


async def test_what_was_answered_with_nothing_is_not_asked_again(
    broker: CountingBroker, connect: Connect
) -> None:
    """However often a client asks, while nothing is produced for its topic."""
    reader, writer = await connect(), await connect()
    for _ in range(5):
        await reader.fetch(wait_ms=20)
        await writer.produce("another")
    assert broker.asked == [FETCH, *[PRODUCE] * 5]


async def test_a_fetch_waits_for_its_topic(broker: CountingBroker, connect: Connect) -> None:
    reader, writer = await connect(), await connect()
    fetching = asyncio.create_task(reader.fetch())
    await until_asked(broker, FETCH)
    await writer.produce("another")
    assert not fetching.done()
    broker.records = RECORD
    await writer.produce("t")
    assert RECORD in await asyncio.wait_for(fetching, WITHIN_S)
    assert broker.asked == [FETCH, PRODUCE, PRODUCE, FETCH]


async def test_a_broker_that_says_nothing_of_what_it_has_is_asked_again(
    broker: CountingBroker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although nothing is produced after it; and then no more."""
    monkeypatch.setattr(broker_entrance, "AGAIN_S", (0.01, 0.01))
    reader = await connect()
    fetching = asyncio.create_task(reader.fetch())
    await until_asked(broker, FETCH)
    broker.records = RECORD
    assert RECORD in await asyncio.wait_for(fetching, WITHIN_S)
    broker.records = b""
    broker.asked.clear()
    await reader.fetch(wait_ms=200)
    await reader.fetch(wait_ms=200)
    assert broker.asked == [FETCH] * 3


async def test_a_broker_that_had_no_time_to_look_is_asked_again(
    broker: CountingBroker, connect: Connect
) -> None:
    """What it had would otherwise be kept from the client until something else is produced."""
    reader = await connect()
    broker.records, broker.too_busy = RECORD, 2
    assert RECORD in await asyncio.wait_for(reader.fetch(), WITHIN_S)
    assert broker.asked == [FETCH] * 3


async def test_a_broker_that_never_looks_is_not_taken_at_its_word(
    broker: CountingBroker, connect: Connect
) -> None:
    """The client is answered, asks again, and gets what there is."""
    reader = await connect()
    broker.records, broker.too_busy = RECORD, len(broker_entrance.LOOKS_MS)
    assert RECORD not in await asyncio.wait_for(reader.fetch(), WITHIN_S)
    assert RECORD in await asyncio.wait_for(reader.fetch(), WITHIN_S)


async def test_a_fetch_that_leaves_partitions_out_is_not_kept(
    broker: CountingBroker, connect: Connect
) -> None:
    """It asks for the others as soon as it is answered; until then nobody would fetch what comes there."""
    reader = await connect()
    await reader.fetch(wait_ms=1, partitions=2)
    await asyncio.wait_for(reader.fetch(partitions=1), WITHIN_S)


async def test_partitions_that_are_given_up_shorten_no_fetch_for_ever(
    broker: CountingBroker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_entrance, "PARTIAL_MAX", 2)
    monkeypatch.setattr(broker_entrance, "PARTIAL_WAIT_S", 0.001)
    reader, writer = await connect(), await connect()
    await reader.fetch(wait_ms=1, partitions=2)
    for _ in range(2):
        await asyncio.wait_for(reader.fetch(partitions=1), WITHIN_S)
    kept = asyncio.create_task(reader.fetch(partitions=1))
    done, _ = await asyncio.wait({kept}, timeout=0.2)
    assert not done
    broker.records = RECORD
    await writer.produce("t")
    assert RECORD in await asyncio.wait_for(kept, WITHIN_S)


async def test_what_cannot_be_read_closes_one_connection_and_no_other(
    broker: CountingBroker, connect: Connect
) -> None:
    good, bad = await connect(), await connect()
    bad._writer.write(struct.pack(">i", 3) + b"abc")
    with pytest.raises(asyncio.IncompleteReadError):
        await bad._reader.readexactly(1)
    await good.fetch(wait_ms=1)


async def test_a_broker_that_does_not_come_to_listen_is_ended_for_another_to_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An entrance that waits for it, and lets nobody in, would never be started again."""
    monkeypatch.setattr(broker_entrance, "STARTED_WITHIN_S", 0.1)
    deaf = Command((sys.executable, "-c", "import time; time.sleep(600)"))
    async with asyncio.timeout(WITHIN_S):
        assert await broker_entrance._run(deaf, free_port(), free_port()) != 0
