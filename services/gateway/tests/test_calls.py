"""Which process of a service is asked."""

from __future__ import annotations

import asyncio

import httpx

from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import Service

LOOPBACK = "127.0.0.1"


async def test_a_dead_process_is_nobody_s_answer_while_another_lives() -> None:
    """However many are asking at once: each call that one does not take goes to the other."""

    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.url.host == "booking-1":
            raise httpx.ConnectError("refused", request=request)
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
