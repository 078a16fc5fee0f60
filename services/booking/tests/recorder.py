"""What is asked of a database, so that its plans can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg


@dataclass
class Recorder:
    """A connection that remembers what is asked of it."""

    connection: asyncpg.Connection
    asked: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    async def fetch(self, sql: str, *values: Any) -> Sequence[Any]:
        self.asked.append((sql, values))
        rows: Sequence[Any] = await self.connection.fetch(sql, *values)
        return rows

    async def fetchrow(self, sql: str, *values: Any) -> Any:
        self.asked.append((sql, values))
        return await self.connection.fetchrow(sql, *values)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        self.asked.append((sql, values))
        return await self.connection.fetchval(sql, *values)
