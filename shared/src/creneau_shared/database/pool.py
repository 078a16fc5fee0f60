"""One asyncpg pool a process, and the one way to open a transaction.

A handler gets a connection inside a transaction and never commits: the transaction commits when the block
ends, before the response is built, so that no client is told of a change that was not stored.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, cast

import asyncpg
import structlog
from asyncpg.transaction import Transaction
from prometheus_client import Counter

from creneau_shared.database import closing
from creneau_shared.database.failures import DATABASE_FAILURES, NO_CONNECTION
from creneau_shared.database.standby import Standby, may_be_older
from creneau_shared.database.wakeups import TELL, Bells
from creneau_shared.errors import Unavailable

Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection


log = structlog.get_logger(__name__)

RETRY_AFTER_S = 2
STARVED_FOR_S = 5.0
"""how long after such a refusal `check_room` may still say that no connection is free"""

STARVED = Counter("creneau_database_pool_starved", "Times that nobody gave a connection back in time")


class PoolStarvedError(Exception):
    """All connections are in use, and a request was refused for this a moment ago."""


_Holder = tuple[int, int]
_holding: ContextVar[frozenset[_Holder]] = ContextVar(
    "pools of which a task holds a connection", default=frozenset()
)


class NestedConnectionError(RuntimeError):
    """A task that holds a connection asks the same pool for another; enough such tasks would deadlock."""


PARTITIONS = """
SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' AND pg_table_is_visible(oid)
  AND has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'UPDATE')
"""
"""the partitions that this role may use; asked when a connection opens, unless the last answer is recent"""
PARTITIONS_FOR_S = 3_600.0
"""how long new connections reuse the last list of partitions: months are made long before they begin"""

CLEAN_UP_S = 1.0
"""how long a connection may take to roll back or to end a statement; one that takes longer is closed"""


async def _roll_back(connection: Connection, transaction: Transaction) -> None:
    """Rolls back; a connection that cannot do so in time is closed, and the server rolls back then."""
    try:
        async with asyncio.timeout(CLEAN_UP_S):
            await transaction.rollback()
    except DATABASE_FAILURES:
        connection.terminate()


class _Session(asyncpg.Connection):
    """A pooled connection that is not reset when it is released.

    No code leaves session state behind (advisory locks belong to a transaction, or to a dedicated connection), so the
    reset that asyncpg sends at each release would be a useless round trip.
    """

    partitions: frozenset[str] = frozenset()
    """the partitions that statements of this session may name (see `partitions.month_of`)"""

    def get_reset_query(self) -> str:
        return ""

    def itself(self) -> _Session:
        """This session itself, called through the pool's proxy."""
        return self

    async def execute(self, query: str, *args: Any, **named: Any) -> str:
        await closing.write_before(self)
        return str(await super().execute(query, *args, **named))

    async def _execute(self, *args: Any, **named: Any) -> Any:  # fetch, fetchrow and fetchval use it
        await closing.write_before(self)
        return await super()._execute(*args, **named)  # type: ignore[misc]

    async def _executemany(self, *args: Any, **named: Any) -> Any:
        await closing.write_before(self)
        return await super()._executemany(*args, **named)  # type: ignore[misc]


class Database:
    """A pool of connections to one PostgreSQL database. Use as an async context manager."""

    def __init__(
        self,
        url: str,
        *,
        size: int,
        statement_timeout_s: float,
        name: str = "creneau",
        wait_s: float | None = None,
        kept_for_reads: int = 0,
        opened_at_once: int = 1,
        standby: Standby | None = None,
        wakeup_pause_s: float = 0.1,
    ) -> None:
        """`wait_s`: longest wait for a connection; None: no limit. `kept_for_reads`: connections that transactions leave
        to reads outside of any. `opened_at_once`: connections opened at the start, which fails without them.
        `standby`: for reads for which an older state will do (`older_state_will_do`). `wakeup_pause_s`: least pause
        between two wake-ups of other processes."""
        self._url = url
        self._size = size
        self._wait_s = wait_s
        self._opened_at_once = opened_at_once
        self.standby = standby
        self.closes_with: Callable[[Connection], Awaitable[None]] | None = None
        """acts upon the notes of a transaction (`closing.note`), at its end, before the put-off writes"""
        self._writers = asyncio.Semaphore(max(1, size - kept_for_reads))
        self._starved_at = -math.inf
        self._settings = {
            "application_name": name,
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "timezone": "UTC",
            # JIT costs more than it gains for our short statements.
            "jit": "off",
            # No parallel workers: in a table of a million rows, the planner expects thousands of appointments of a
            # person who has few. Starting workers takes 15 ms; the statement alone takes 0.3 ms.
            "max_parallel_workers_per_gather": "0",
            # If a client's machine vanishes, its session, with its locks (the relay's too), ends after one minute
            # instead of the system's default of two hours.
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
        }
        self._pool: asyncpg.Pool | None = None
        self._partitions: frozenset[str] = frozenset()
        self._partitions_at = -math.inf
        self.bells = Bells(
            lambda channels: self.pool.execute(TELL, channels),
            failures=DATABASE_FAILURES,
            pause_s=wakeup_pause_s,
        )

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=self._opened_at_once,
            max_size=self._size,
            server_settings=self._settings,
            command_timeout=60,
            connection_class=_Session,
            init=self._tell_partitions,
        )
        if self.standby is not None:
            await self.standby.database.__aenter__()
        return self

    async def _tell_partitions(self, connection: Connection) -> None:
        """Gives the connection the list of partitions; asks the database when the list is old."""
        if time.monotonic() - self._partitions_at > PARTITIONS_FOR_S:
            rows = await connection.fetch(PARTITIONS)
            self._partitions, self._partitions_at = (
                frozenset(row["relname"] for row in rows),
                time.monotonic(),
            )
        cast(_Session, connection).itself().partitions = self._partitions

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.standby is not None:
            await self.standby.database.__aexit__(kind, error, trace)
        await self.bells.close()
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool itself, for single statements (each is a transaction of its own)."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside any transaction. NestedConnectionError within a block that has one already."""
        async with AsyncExitStack() as held:
            lent = await self._of_standby(held)
            yield await held.enter_async_context(self._own_connection()) if lent is None else lent

    async def _of_standby(self, held: AsyncExitStack) -> Connection | None:
        """A standby's connection for as long as `held` is open, where an older state will do; None if there is none."""
        standby = self.standby
        if standby is None or not may_be_older() or not await standby.usable():
            return None
        try:
            return cast(Connection, await held.enter_async_context(standby.database.connection()))
        except NO_CONNECTION as error:
            standby.doubt()
            log.warning("read from the primary", error=type(error).__name__)
            return None

    @asynccontextmanager
    async def _own_connection(self) -> AsyncIterator[Connection]:
        held, me = _holding.get(), (id(self), id(asyncio.current_task()))
        if me in held:
            raise NestedConnectionError("this task holds a connection of the pool already")
        connection = await self._acquire()
        token = _holding.set(held | {me})
        try:
            yield connection
        except asyncpg.ReadOnlySQLTransactionError:
            # The server was demoted and its sessions survived: each would refuse writes for ever.
            await self.pool.expire_connections()
            raise
        finally:
            _holding.reset(token)
            # After CLEAN_UP_S the pool closes the connection and raises TimeoutError, which does not matter here.
            with suppress(TimeoutError):
                await self.pool.release(connection, timeout=CLEAN_UP_S)

    async def _acquire(self) -> asyncpg.pool.PoolConnectionProxy:
        """A connection; Unavailable (`throttled`) when all are in use for longer than `wait_s`."""
        try:
            # Not asyncpg's own timeout, which starts a task each time.
            async with asyncio.timeout(self._wait_s):
                return await self.pool.acquire()
        except TimeoutError:
            if self.pool.get_size() < self._size:
                raise  # the server is slow to accept connections
            raise self._starved() from None

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        """Takes a place for a transaction; the places are limited, so that reads always find a connection."""
        if self._writers.locked():
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._writers.acquire()
            except TimeoutError:
                raise self._starved() from None
        else:
            await self._writers.acquire()  # at once
        try:
            yield
        finally:
            self._writers.release()

    def _starved(self) -> Unavailable:
        self._starved_at = time.monotonic()
        STARVED.inc()
        return Unavailable(
            "Le service reçoit trop de requêtes en ce moment ; réessayez dans un instant.",
            "The service has too many requests at the moment; try again shortly.",
            code="throttled",
            details_code="busy",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: commits when the block ends, rolls back when it raises.

        Writes put off in it (see `closing`) are sent before the commit; those who wait for its rows are woken after it.
        """
        async with self._turn_to_write(), self._own_connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            put_off, token = closing.begin(connection, cast(_Session, connection).itself())
            try:
                yield connection
                if put_off.notes and self.closes_with is not None:
                    await self.closes_with(connection)
                await put_off.write()
            except BaseException:
                put_off.forget()
                await _roll_back(connection, transaction)
                raise
            finally:
                closing.end(token)
            await transaction.commit()
            self.bells.announce(put_off.channels)

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        await self.pool.fetchval("SELECT 1", timeout=2)

    async def check_room(self) -> None:
        """Raise while requests are refused because no connection is free."""
        full = self._writers.locked() or not self.pool.get_idle_size()
        if full and time.monotonic() - self._starved_at < STARVED_FOR_S:
            raise PoolStarvedError
