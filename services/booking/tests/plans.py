"""Plans of statements with the values that they had: EXPLAIN of a statement with values would always plan for these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import orjson


async def plan_of(
    connection: asyncpg.Connection, sql: str, values: Sequence[Any], *, generic: bool
) -> dict[str, Any]:
    """The plan of a statement, carried out (ANALYZE, BUFFERS). `generic`: the one that is made once for whatever values."""
    await connection.execute(f"SET plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    await connection.execute(f"PREPARE explained AS {sql}")
    try:
        given = f"({', '.join(map(_said, values))})" if values else ""
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained{given}")
    finally:
        await connection.execute("DEALLOCATE explained")
        await connection.execute("RESET plan_cache_mode")
    plan: dict[str, Any] = orjson.loads(told)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def _said(value: Any) -> str:
    """A value as SQL says it, of whatever type is expected."""
    if value is None:
        return "NULL"
    if isinstance(value, Sequence) and not isinstance(value, str):
        members = ",".join(f'"{one}"' for one in value)
        return f"'{{{members}}}'"
    return f"'{value}'"
