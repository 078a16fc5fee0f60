"""The exceptions with which a statement can fail, from asyncpg and from the pool: those that do not depend on the
statement, and all."""

from __future__ import annotations

import asyncpg

from creneau_shared.errors import Unavailable

UNREACHABLE: tuple[type[Exception], ...] = (
    OSError,  # TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that the server has ended, acquired before asyncpg noticed
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # a primary that was demoted a moment ago
    asyncpg.InsufficientResourcesError,  # a full disk, no memory, too many connections
)
"""The database cannot be reached, has no room, or a failover is under way: the same statement may succeed later."""

NO_CONNECTION: tuple[type[Exception], ...] = (Unavailable, *UNREACHABLE)
"""UNREACHABLE, or the pool refused: all connections of this process were in use for too long."""

DATABASE_FAILURES: tuple[type[Exception], ...] = (asyncpg.PostgresError, *NO_CONNECTION)
"""Every failure that the database or its pool can raise."""
