"""What anybody may read is asked for once for many; what is about one of them alone is that one's."""

from __future__ import annotations

import asyncio

import pytest

from creneau_web.care.kept import Kept
from creneau_web.fhir.refusal import Refusal, RefusedError, is_about_who_asks


async def refuse(status: int) -> str:
    await asyncio.sleep(0)
    raise RefusedError(Refusal(status, "throttled", ""))


async def answer() -> str:
    return "free"


async def test_whoever_waited_for_one_who_asks_too_much_asks_for_themselves() -> None:
    kept: Kept[str] = Kept(5, is_personal=is_about_who_asks)
    first = asyncio.create_task(kept.get("rennes", lambda: refuse(429)))
    others = [asyncio.create_task(kept.get("rennes", answer)) for _ in range(3)]
    assert await asyncio.gather(*others) == ["free"] * 3
    with pytest.raises(RefusedError):
        await first


async def test_what_fails_for_everybody_is_asked_once() -> None:
    kept: Kept[str] = Kept(5, is_personal=is_about_who_asks)
    asked = await asyncio.gather(
        kept.get("rennes", lambda: refuse(503)), kept.get("rennes", answer), return_exceptions=True
    )
    assert all(isinstance(error, RefusedError) for error in asked)
