"""The protocol under uvicorn: answers in order whatever comes, and nobody keeps a connection by being slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fixtures.served import served

from creneau_shared.http import protocol

WITHIN_S = 60.0
FAST_S = 0.5


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with the path, after as many turns of the loop as it says; /early does not wait for the body."""
    if scope["path"] != "/early":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/late":
        await asyncio.sleep(FAST_S * 2)
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with served(echo, lifespan=False) as port:
        yield port


class Wire:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def write(self, text: str) -> None:
        self._writer.write(text.encode("latin-1"))
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        return int(head.split()[1]), await self._reader.readexactly(length)

    async def ended(self) -> bool:
        """Whether the server ends the connection, with nothing more to say."""
        with contextlib.suppress(ConnectionResetError):
            return await self._reader.read() == b""
        return True


@pytest.fixture
async def wire(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(WITHIN_S):
        yield Wire(reader, writer)
    writer.close()


def request(path: str, *headers: str) -> str:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""])


def told(answer: tuple[int, bytes]) -> tuple[int, str]:
    """Status and issue code of an OperationOutcome."""
    return answer[0], json.loads(answer[1])["issue"][0]["code"]


async def test_requests_in_one_write_are_answered_in_order(wire: Wire) -> None:
    await wire.write("".join(request(f"/{n if n != 2 else 'late'}") for n in range(6)))
    assert [(await wire.answer())[1] for _ in range(6)] == [b"/0", b"/1", b"/late", b"/3", b"/4", b"/5"]


@pytest.mark.parametrize("before", [["/late"], ["/late", "/1", "/late"], []])
async def test_something_unreadable_is_refused_after_the_answers_before_it(
    wire: Wire, before: list[str]
) -> None:
    """Its 400 is never taken for the answer to another request; what follows it is not carried out."""
    await wire.write("".join(map(request, before)) + "BLAH\0 / HTTP/9\r\n\r\n" + request("/after"))
    assert [(await wire.answer())[1] for _ in before] == [path.encode() for path in before]
    assert told(await wire.answer()) == (400, "structure")
    assert await wire.ended()


@pytest.mark.parametrize("sent", ["", "G", request("/whole") + "GET /half HTTP/1.1\r\nHost:"])
async def test_a_header_that_does_not_come_to_an_end_is_given_up(
    wire: Wire, sent: str, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", FAST_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    slow = Wire(reader, writer)
    await slow.write(sent)
    if "/whole" in sent:
        assert (await slow.answer())[1] == b"/whole"
    assert told(await slow.answer()) == (408, "timeout")
    assert await slow.ended()
    await wire.write(request("/others"))
    assert (await wire.answer())[1] == b"/others"
    writer.close()


async def test_bytes_that_trickle_do_not_buy_time(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", FAST_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def trickle() -> None:
        for byte in request("/slow", "X: " + "x" * 1000):
            writer.write(byte.encode())
            await asyncio.sleep(FAST_S / 10)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(WITHIN_S):
        assert told(await Wire(reader, writer).answer()) == (408, "timeout")
    trickling.cancel()
    writer.close()


async def test_a_waiting_connection_is_not_given_up_while_it_is_answered(
    monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    """The time for a header ends with the header, however long the answer takes."""
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", FAST_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    patient = Wire(reader, writer)
    for path in (b"/late", b"/next"):
        await patient.write(request(path.decode()))
        assert await patient.answer() == (200, path)
    writer.close()


async def test_an_endless_header_is_refused(wire: Wire) -> None:
    await wire.write("GET / HTTP/1.1\r\n" + "".join(f"X-{n}: {'x' * 100}\r\n" for n in range(700)))
    assert told(await wire.answer()) == (431, "too-long")


async def test_many_headers_that_end_are_read(wire: Wire) -> None:
    await wire.write(request("/many", *(f"X-{n}: 1" for n in range(500))))
    assert (await wire.answer())[1] == b"/many"


async def test_a_body_that_nobody_waits_for_is_not_waited_for_long(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered before its body came, and the body never comes: the connection ends, trickle or not."""
    monkeypatch.setattr(protocol, "LINGER_S", FAST_S)
    await wire.write("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    assert (await wire.answer())[1] == b"/early"
    await wire.write("d")
    assert await wire.ended()


async def test_a_body_that_comes_late_spoils_nothing(wire: Wire) -> None:
    await wire.write("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
    assert (await wire.answer())[1] == b"/early"
    await wire.write("def" + request("/next"))
    assert (await wire.answer())[1] == b"/next"
