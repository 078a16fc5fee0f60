"""Connections for code that joins the transaction of its caller, if there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from creneau_shared.database.closing import Savepoint
from creneau_shared.database.pool import Connection, Database


class Transactions:
    """The transactions of one database; code awaited inside a transaction finds it here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._current: ContextVar[Connection | None] = ContextVar("transaction", default=None)

    @property
    def under_way(self) -> bool:
        """Whether there is a transaction under way, which its opener will end."""
        return self._current.get() is not None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reads: that of the transaction under way, if there is one."""
        current = self._current.get()
        if current is not None:
            yield current
            return
        async with self._database.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that code inside the block joins; within another transaction, a savepoint of it."""
        current = self._current.get()
        if current is not None:
            async with current.transaction():
                with Savepoint():
                    yield current
            return
        async with self._database.transaction() as connection:
            token = self._current.set(connection)
            try:
                yield connection
            finally:
                self._current.reset(token)
