"""Sends reads that may be a few seconds old to a standby, and to the primary when the standby is not usable.

A caller without a token sees public data, and booking checks again in the end: such reads may be as old as
`DATABASE_READ_LAG_MAX_S`. A standby that cannot be reached, or has applied nothing for longer, is not used
until the next check. (An idle primary sends nothing to apply; then the primary serves the reads, at little cost.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol

import asyncpg
import structlog

from creneau_shared.database.failures import NO_CONNECTION, UNREACHABLE

LOOK_EVERY_S = 1.0

STANDBY_FAILURES: tuple[type[Exception], ...] = (*UNREACHABLE, asyncpg.SerializationError)
"""Failures of a standby: it cannot be reached, or the changes that it applies remove rows that are being read."""

_AGE = """
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
 'infinity') ELSE 0 END::float8"""

_will_do: ContextVar[bool] = ContextVar("a state of a few seconds ago will do", default=False)

log = structlog.get_logger(__name__)


@contextmanager
def older_state_will_do() -> Iterator[None]:
    """Allows reads within the block to come from a standby."""
    token = _will_do.set(True)
    try:
        yield
    finally:
        _will_do.reset(token)


def may_be_older() -> bool:
    """Whether a read may come from a standby now."""
    return _will_do.get()


class Connections(Protocol):
    """A pool of connections, opened and closed as a context (`pool.Database`)."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def connection(self) -> AbstractAsyncContextManager[Any]: ...


class Standby:
    """Standbys behind one URL, with a pool of their own (which opens even when none of them answers)."""

    def __init__(
        self, database: Connections, *, lag_max_s: float, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self.database = database
        self._lag_max_s = lag_max_s
        self._seconds = seconds
        self._usable = False
        self._looked_at: float | None = None

    async def usable(self) -> bool:
        """Whether the standby answered at the last check, with a state that is recent enough."""
        now = self._seconds()
        if self._looked_at is None or now - self._looked_at >= LOOK_EVERY_S:
            # One caller checks; callers meanwhile use the previous result.
            self._looked_at = now
            usable = await self._look()
            if usable != self._usable:
                log.info("reads go to the standby" if usable else "reads go to the primary")
            self._usable = usable
        return self._usable

    async def _look(self) -> bool:
        try:
            async with self.database.connection() as connection:
                age: float = await connection.fetchval(_AGE, timeout=LOOK_EVERY_S)
        except NO_CONNECTION:
            return False
        return age <= self._lag_max_s

    def doubt(self) -> None:
        """Marks the standby as not usable until the next check: a read from it has failed."""
        self._usable, self._looked_at = False, self._seconds()
