"""A system that nobody asks hardly works: every poll that comes back is seen here."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.fixtures.stack import Stack

WINDOW_S = 5.0
WINDOWS_MAX = 12
TRANSACTIONS_MAX = 100
"""in a window, all services together: there are about forty, and there were some four hundred"""
COMMITTED = """
SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE starts_with(datname, 'creneau_')"""


async def test_hardly_a_statement_is_sent_while_nothing_happens(full_stack: Stack) -> None:
    """The quietest of some windows: what earlier tests have left may still be worked on in the first."""
    connection = await asyncpg.connect(full_stack.database_url("booking"))
    try:
        counts: list[int] = []
        for _ in range(WINDOWS_MAX):
            before = await connection.fetchval(COMMITTED)
            await asyncio.sleep(WINDOW_S)
            counts.append(await connection.fetchval(COMMITTED) - before)
            if counts[-1] <= TRANSACTIONS_MAX:
                return
        raise AssertionError(f"transactions in {WINDOW_S:g} s: {counts}")
    finally:
        await connection.close()
