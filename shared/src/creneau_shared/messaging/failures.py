"""The transient failures of a consumer."""

from __future__ import annotations

import asyncpg
from aiokafka.errors import KafkaError

from creneau_shared.database.failures import NO_CONNECTION

TRANSIENT: tuple[type[Exception], ...] = (
    *NO_CONNECTION,
    KafkaError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""Failures that pass by themselves: connections, capacity, shutdown, statement timeouts, collisions and locks."""

COLLISIONS: tuple[type[Exception], ...] = (
    asyncpg.QueryCanceledError,  # the statement timeout
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""The transient failures that a long batch may cause, and that its events one by one may avoid."""
