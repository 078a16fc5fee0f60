"""Which process of a service is asked."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from creneau_gateway.app import CONNECT_TIMEOUT_S, create_app
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import Service
from creneau_shared.clock import FixedClock

from .conftest import NOW, settings

LOOPBACK = "127.0.0.1"


@pytest.mark.parametrize("fails", [httpx.ConnectError, httpx.ConnectTimeout])
async def test_a_dead_process_is_nobody_s_answer_while_another_lives(
    fails: type[httpx.TransportError],
) -> None:
    """Whether its machine refuses or says nothing, and however many are asking at once: each call that one does not take
    goes to the other."""

    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.url.host == "booking-1":
            raise fails("refused", request=request)
        return httpx.Response(200)

    addresses: dict[Service, list[str]] = {"booking": ["http://booking-1", "http://booking-2"]}
    upstreams = Upstreams(addresses, lambda: httpx.AsyncClient(transport=httpx.MockTransport(handle)))
    calls = [upstreams.call("booking", "GET", "/metadata", headers={}) for _ in range(20)]
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    await upstreams.close()


async def test_a_service_that_hangs_takes_no_connection_from_the_others() -> None:
    """As many callers as it has connections wait for it; who asks another service is answered."""
    hanging, released = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/hang" in asked:
            hanging.set()
            await released.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    address = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    one = httpx.Limits(max_connections=1)
    upstreams = Upstreams(
        {"booking": [address], "directory": [address]}, lambda: httpx.AsyncClient(limits=one, timeout=60)
    )
    async with server, asyncio.TaskGroup() as callers:
        waiting = callers.create_task(upstreams.call("booking", "GET", "/hang", headers={}))
        await hanging.wait()
        assert (await upstreams.call("directory", "GET", "/fhir/Location", headers={})).status_code == 200
        assert not waiting.done()
        released.set()
    await upstreams.close()


async def test_connecting_is_given_up_long_before_an_answer() -> None:
    """A machine that has vanished refuses nothing: the next process is asked while the caller still waits."""
    waits: list[dict[str, float]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"])
        return httpx.Response(200, json={})

    app = create_app(settings(upstream_timeout_s=30.0), FixedClock(NOW), httpx.MockTransport(handle))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        await client.get("/health/ready")
    assert waits
    assert all(wait["connect"] == CONNECT_TIMEOUT_S for wait in waits)
    assert all(wait["read"] == 30.0 for wait in waits)
