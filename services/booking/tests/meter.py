"""What is done in the database while something is called: round trips of the service's own pool, and bytes of WAL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from creneau_shared.database import pool
from creneau_shared.database.wakeups import TELL


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call. `round_trips`: statements sent, BEGIN and COMMIT included, a batch of one statement once."""

    round_trips: int
    wal_bytes: int


@dataclass
class Meter:
    """Counts what the sessions say that they send; the WAL by where the server's log ends."""

    watch: asyncpg.Connection
    """a connection of the meter's own, to the same server"""
    statements: list[str] = field(default_factory=list)

    def session_class(self) -> type[asyncpg.Connection]:
        """The service's pooled connection, which says what it sends; not those that count requests (`…-limits`):
        when these ask the database depends on the clock, as it does when workers are woken, for which no call waits,
        nor what a connection asks when it is opened."""
        sent = self.statements

        class Metered(pool._Session):
            def __init__(self, *given: Any, **named: Any) -> None:
                super().__init__(*given, **named)
                if not self.get_settings().application_name.endswith("-limits"):
                    self.add_query_logger(self._note)

            @staticmethod
            def _note(logged: Any) -> None:
                if logged.query not in (TELL, pool.PARTITIONS):
                    sent.append(logged.query)

        return Metered

    @asynccontextmanager
    async def measuring(self, costs: list[Cost]) -> AsyncIterator[None]:
        """Adds to `costs` what the block has cost."""
        began = await self._end_of_log()
        self.statements.clear()
        yield
        round_trips = len(self.statements)
        costs.append(Cost(round_trips, await self._end_of_log() - began))

    async def _end_of_log(self) -> int:
        return int(await self.watch.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
