"""The people of the benchmark of pages: what is said of a journey that does not end in an appointment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.load.costs.by_page import a_step_further
from tests.load.measures.journey import SEARCHES, Journeys, NotAsWantedError, Person, steps
from tests.load.system import System

DRAFT = "/reservation/un"


async def answer_as_if_led_to(page: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers as pages where each time is kept, and leads to this page of the draft."""
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            length = next((line for line in head.split("\r\n") if line.startswith("Content-Length")), "0")
            await reader.readexactly(int(length.rpartition(" ")[2]))
            leads = f"{DRAFT}/{page}" if head.startswith(f"GET {DRAFT} ") else DRAFT
            writer.write(f"HTTP/1.1 303 See Other\r\nlocation: {leads}\r\ncontent-length: 0\r\n\r\n".encode())
    except asyncio.IncompleteReadError:
        writer.close()


@pytest.mark.parametrize("page", ["pris", "impossible", "deja", "verifier"])
async def test_a_time_that_is_not_held_ends_the_journey_and_is_named(page: str) -> None:
    """Before the check would be sent to a page that takes no message."""
    server = await asyncio.start_server(lambda *ends: answer_as_if_led_to(page, *ends), "127.0.0.1", 0)
    async with server:
        system = System(server.sockets[0].getsockname()[1], Path())
        walk = steps(system, Person("", "", "role", "slot"), SEARCHES[0], Journeys(), looking=False)
        assert await anext(walk) == DRAFT
        if page == "verifier":
            assert await anext(walk) == f"{DRAFT}/verifier"
        else:
            with pytest.raises(NotAsWantedError, match=f"^held: 303 {page}$"):
                await anext(walk)
        await walk.aclose()


async def test_who_ends_early_keeps_nobody_from_going_on() -> None:
    """Costs are measured of those who are left, and why the others ended is told."""

    async def walk(*answers: str) -> AsyncGenerator[str]:
        for answer in answers:
            if answer != "ok":
                raise NotAsWantedError(answer)
            yield answer

    ended = Counter[str]()
    walks = [walk("ok", "ok"), walk("held: 303 impossible"), walk("ok", "held: 303 pris"), walk("ok", "ok")]
    walks = await a_step_further(walks, ended)
    assert (len(walks), dict(ended)) == (3, {"held: 303 impossible": 1})
    walks = await a_step_further(walks, ended)
    assert (len(walks), ended.total()) == (2, 2)
