"""Statements by database, WAL and CPU of what goes on in a block: what PostgreSQL and the kernel have counted.

The server is one of our own with `SETTINGS`: nothing but what is asked writes WAL there, and no page whole.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg
from tests.load.processes import cpu_ms
from tests.load.system import System

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "20000",
    "pg_stat_statements.save": "off",
    # Pages written whole after a checkpoint hide what the statements themselves write, and vacuum comes when it likes.
    "full_page_writes": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
}
_CALLS = """
SELECT datname, query, sum(calls)::bigint AS calls FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
WHERE toplevel AND userid <> 'postgres'::regrole AND starts_with(datname, 'creneau_') GROUP BY 1, 2"""
_END_OF_LOG = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"

Key = TypeVar("Key")


@dataclass
class Counted:
    """What a block has cost, filled in at its end."""

    seconds: float = 0.0
    statements: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """how often each text was sent, by database; BEGIN and COMMIT are texts as well"""
    wal_bytes: float = 0.0
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    """by kind of process"""

    def sent(self) -> float:
        """All statements."""
        return sum(self.statements.values())

    def sent_by_each(self, operations: int) -> int:
        """Statements that belong to each of so many operations: what goes on beside them is sent less often than they
        are, and falls away."""
        return sum(round(calls / operations) for calls in self.statements.values())

    def without(self, idle: Counted) -> Counted:
        """What is left when what goes on anyhow is taken away, for as long as this took."""
        share = self.seconds / idle.seconds
        return Counted(
            self.seconds,
            _minus(self.statements, idle.statements, share),
            max(0.0, self.wal_bytes - idle.wal_bytes * share),
            _minus(self.cpu_ms, idle.cpu_ms, share),
        )


def _minus(whole: Mapping[Key, float], idle: Mapping[Key, float], share: float) -> dict[Key, float]:
    return {key: max(0.0, amount - idle.get(key, 0.0) * share) for key, amount in whole.items()}


@dataclass(frozen=True)
class Counters:
    """Counts in a system's PostgreSQL and processes."""

    system: System
    connection: asyncpg.Connection

    @classmethod
    async def of(cls, system: System) -> Counters:
        connection = await asyncpg.connect(system.server())
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        return cls(system, connection)

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[Counted]:
        """Counts from a checkpoint on."""
        counted = Counted()
        await self.connection.execute("CHECKPOINT")
        await self.connection.execute("SELECT pg_stat_statements_reset()")
        wal, cpu, began = await self._end_of_log(), cpu_ms(self.system.pids()), time.perf_counter()
        yield counted
        counted.seconds = time.perf_counter() - began
        counted.cpu_ms = {kind: used - cpu[kind] for kind, used in cpu_ms(self.system.pids()).items()}
        counted.wal_bytes = await self._end_of_log() - wal
        rows = await self.connection.fetch(_CALLS)
        counted.statements = {(row["datname"], row["query"]): row["calls"] for row in rows}

    async def _end_of_log(self) -> int:
        return int(await self.connection.fetchval(_END_OF_LOG))
