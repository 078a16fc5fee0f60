"""The workers, stopped and let go on one by one, so that what each does is told apart from the others' work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
from tests.load.system import System

WORKERS = ("directory-worker", "booking-worker", "notifications-worker")
TRIES = 200
_AT_REST = """
SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = ANY($1) AND xact_start IS NOT NULL
    AND backend_type = 'client backend' AND pid <> pg_backend_pid())"""


@dataclass(frozen=True)
class Workers:
    """The workers of a system, by signals to their processes."""

    system: System
    connection: asyncpg.Connection

    async def stop(self, *names: str) -> None:
        """Stop them all, or those of these names, where none is within a transaction: one left open would hold rows, and
        keep dead ones from being cleared away."""
        names = names or WORKERS
        databases = [f"creneau_{name.removesuffix('-worker')}" for name in names]
        for _ in range(TRIES):
            self._signal(signal.SIGSTOP, *names)
            await asyncio.sleep(0.01)
            if await self.connection.fetchval(_AT_REST, databases):
                return
            self.go_on(*names)
            await asyncio.sleep(0.01)
        raise TimeoutError("the workers are never at rest")

    def go_on(self, *names: str) -> None:
        """Let all, or these, go on."""
        self._signal(signal.SIGCONT, *(names or WORKERS))

    @contextmanager
    def only(self, name: str) -> Iterator[None]:
        """Let one of the stopped go on meanwhile."""
        self._signal(signal.SIGCONT, name)
        yield
        self._signal(signal.SIGSTOP, name)

    def _signal(self, number: signal.Signals, *names: str) -> None:
        pids = self.system.pids()
        for name in names:
            os.kill(pids[name], number)
