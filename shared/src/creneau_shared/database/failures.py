"""How a statement can end badly, in asyncpg's words and the pool's: what has nothing to do with the statement, and
everything."""

from __future__ import annotations

import asyncpg

from creneau_shared.errors import Unavailable

UNREACHABLE: tuple[type[Exception], ...] = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that the dying server has ended, taken before asyncpg knows
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # a primary that was demoted a moment ago
    asyncpg.TooManyConnectionsError,
)
"""The database cannot be reached, or is about to be another one: the same statement will do later."""

NO_CONNECTION: tuple[type[Exception], ...] = (Unavailable, *UNREACHABLE)
"""The same, or all connections of this process are in use for too long, as its pool says."""

DATABASE_FAILURES: tuple[type[Exception], ...] = (asyncpg.PostgresError, *NO_CONNECTION)
"""Whatever the database can answer with, and its pool."""
