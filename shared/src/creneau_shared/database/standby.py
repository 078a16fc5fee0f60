"""Reads from a standby, for those to whom a state of a few seconds ago will do, and back to the primary without it.

Who reads without a token sees what is public, and booking decides in the end: such reads may be as old as
`DATABASE_READ_LAG_MAX_S`. A standby that cannot be reached, or that has applied nothing for longer, is left alone
until the next look at it. (On a primary where nothing happens nothing is applied either: its reads cost it little.)
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
"""What may happen on a standby and not on the primary: it goes, or what it applies removes what is being read."""

_AGE = """
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
 'infinity') ELSE 0 END::float8"""

_will_do: ContextVar[bool] = ContextVar("a state of a few seconds ago will do", default=False)

log = structlog.get_logger(__name__)


@contextmanager
def older_state_will_do() -> Iterator[None]:
    """What is read within the block may come from a standby."""
    token = _will_do.set(True)
    try:
        yield
    finally:
        _will_do.reset(token)


def may_be_older() -> bool:
    """Whether what is read now may come from a standby."""
    return _will_do.get()


class Connections(Protocol):
    """A pool of connections, opened and closed as a context (`pool.Database`)."""

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def connection(self) -> AbstractAsyncContextManager[Any]: ...


class Standby:
    """Standbys behind one URL, with a pool of their own (which needs none of them to be there)."""

    def __init__(
        self, database: Connections, *, lag_max_s: float, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self.database = database
        self._lag_max_s = lag_max_s
        self._seconds = seconds
        self._usable = False
        self._looked_at: float | None = None

    async def usable(self) -> bool:
        """Whether it answered when it was last looked at, with a state that is young enough."""
        now = self._seconds()
        if self._looked_at is None or now - self._looked_at >= LOOK_EVERY_S:
            # One looks; who comes meanwhile goes by what was seen before.
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
        """It has failed somebody: nobody else is sent to it before the next look."""
        self._usable, self._looked_at = False, self._seconds()
