"""Which process of a service is asked."""

from __future__ import annotations

import asyncio

import httpx

from creneau_gateway.upstreams.calls import Upstreams


async def test_a_dead_process_is_nobody_s_answer_while_another_lives() -> None:
    """However many are asking at once: each call that one does not take goes to the other."""

    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.url.host == "booking-1":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        upstreams = Upstreams({"booking": ["http://booking-1", "http://booking-2"]}, client)
        calls = [upstreams.call("booking", "GET", "/metadata", headers={}) for _ in range(20)]
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
