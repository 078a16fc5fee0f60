"""What is over is removed again and again, whatever one turn meets."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from creneau_shared.errors import Unavailable
from creneau_web.sweeping import sweep_for_ever


@pytest.mark.parametrize(
    "failure",
    [Unavailable("trop", "too many"), asyncpg.CannotConnectNowError("starting"), OSError(), KeyError("x")],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_sweep_that_fails_comes_again_and_stops_no_other(failure: Exception) -> None:
    """A crowd that has all connections, a failover, a fault of ours: sessions go on ending afterwards."""
    turns: list[str] = []
    done = asyncio.Event()

    async def sessions() -> None:
        turns.append("sessions")
        if len(turns) == 1:
            raise failure
        done.set()

    async def reports() -> None:
        turns.append("reports")

    sweeping = asyncio.create_task(sweep_for_ever(0, sessions, reports))
    waiting = asyncio.create_task(done.wait())
    await asyncio.wait({sweeping, waiting}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert turns[:3] == ["sessions", "reports", "sessions"]
    sweeping.cancel()
    waiting.cancel()
