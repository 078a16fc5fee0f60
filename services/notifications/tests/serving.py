"""The API process in this one: started and ended as a server does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from creneau_shared.app import ServiceApplication


@asynccontextmanager
async def serving(app: ServiceApplication, base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base_url) as client:
            yield client
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await running
