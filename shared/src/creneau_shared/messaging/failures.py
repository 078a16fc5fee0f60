"""Which failures of a consumer pass by themselves."""

from __future__ import annotations

import asyncpg
from aiokafka.errors import KafkaError

from creneau_shared.database.failures import NO_CONNECTION

TRANSIENT: tuple[type[Exception], ...] = (
    *NO_CONNECTION,
    KafkaError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""What passes by itself: connections, capacity, shutdown, statement timeouts, collisions and locks."""

COLLISIONS: tuple[type[Exception], ...] = (
    asyncpg.QueryCanceledError,  # the statement timeout
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""Those of them that a batch may meet because it is long, and its events by themselves may not."""
