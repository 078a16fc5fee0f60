"""Removes what has ended, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from creneau_shared.database.failures import DATABASE_FAILURES

log = structlog.get_logger(__name__)


async def sweep_for_ever(pause_s: float, *sweeps: Callable[[], Awaitable[object]]) -> None:
    """Each in turn, with a pause between; one that fails, for whatever reason, comes again with the next turn."""
    while True:
        await asyncio.sleep(pause_s)
        for sweep in sweeps:
            try:
                await sweep()
            except DATABASE_FAILURES as error:
                log.warning("sweep.failed", error=error)
            except Exception as error:
                log.error("sweep.broken", exc_info=error)
