"""The wire to the FHIR base over real sockets: what is sent, what comes back, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from creneau_web.fhir.refusal import UnreachableError
from creneau_web.fhir.wire import HttpWire, Wire


class Base:
    """Answers each request by `answer`; what was asked is kept."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        """None: never"""
        self.heads: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                if self.answer is None:
                    await reader.read()
                else:
                    writer.write(self.answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def wire_to(base: Base, timeout_s: float = 5.0) -> AsyncIterator[Wire]:
    server = await asyncio.start_server(base.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = HttpWire(
        f"http://127.0.0.1:{port}/fhir/", timeout_s=timeout_s, connections_max=4, kept_s=30, verify=None
    )
    async with wire:
        yield wire
    server.close()


async def test_it_asks_the_base_and_keeps_the_connection() -> None:
    """Names and values arrive as they were meant, and the token with them."""
    base = Base(b'HTTP/1.1 404 Not Found\r\nETag: W/"3"\r\nContent-Length: 2\r\n\r\n{}')
    async with wire_to(base) as wire:
        params = [("start", "ge2026-11-28T08:00:00+01:00"), ("name", "Zoé & fils"), ("name", "a,b|c")]
        first = await wire.request("GET", "/Slot", {"Authorization": "Bearer x"}, params=params)
        await wire.request("POST", "", {})
    assert (first.status, first.headers.get("etag"), first.content) == (404, 'W/"3"', b"{}")
    assert base.heads[0].startswith(
        "GET /fhir/Slot?start=ge2026-11-28T08:00:00%2B01:00&name=Zo%C3%A9+%26+fils&name=a,b%7Cc HTTP/1.1"
    )
    assert "Authorization: Bearer x\r\n" in base.heads[0]
    assert base.heads[1].startswith("POST /fhir HTTP/1.1")
    assert base.connections == 1


async def test_what_leads_elsewhere_is_not_followed() -> None:
    """Else the token would go there too."""
    base = Base(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
    async with wire_to(base) as wire:
        assert (await wire.request("GET", "/Slot", {})).status == 302


@pytest.mark.parametrize("answer", [None, b"", b"no HTTP\r\n\r\n"], ids=["silence", "nothing", "nonsense"])
async def test_a_base_that_does_not_answer_is_unreachable(answer: bytes | None) -> None:
    async with wire_to(Base(answer), timeout_s=0.2) as wire:
        with pytest.raises(UnreachableError):
            await wire.request("GET", "/Slot", {})


async def test_a_base_that_is_not_there_is_unreachable() -> None:
    wire = HttpWire("http://127.0.0.1:9/fhir", timeout_s=1, connections_max=1, kept_s=1, verify=None)
    async with wire:
        with pytest.raises(UnreachableError):
            await wire.request("GET", "/Slot", {})
