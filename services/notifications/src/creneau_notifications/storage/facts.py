"""The replica of what messages say of professionals and places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from creneau_notifications.domain.visit import Fact, Turn
from creneau_shared.clock import CLOCKS_APART
from creneau_shared.database.pool import Connection

_COLUMNS = (
    "reference, name, address, phone, zone, latitude, longitude, practitioner, locations,"
    " organization, active, since, until, part_of, turns"
)
_WIDER = ", ".join(f"wider.{column.strip()}" for column in _COLUMNS.split(","))
_ASKED = "ANY((SELECT $1::text[])::text[])"
"""hidden from the planner: one plan serves all"""
# Each step looks up few references by index, however small the table is (OFFSET 0: one by one).
_FIND = f"""
WITH RECURSIVE named AS MATERIALIZED (
  SELECT {_COLUMNS} FROM directory_fact WHERE reference = {_ASKED} OR practitioner = {_ASKED}
), found AS (
  (SELECT {_COLUMNS} FROM named UNION
   SELECT {_COLUMNS} FROM directory_fact WHERE reference = ANY(ARRAY(
     SELECT practitioner FROM named UNION ALL SELECT organization FROM named UNION ALL SELECT unnest(locations) FROM named)))
  UNION SELECT {_WIDER} FROM found CROSS JOIN LATERAL (
    SELECT * FROM directory_fact WHERE reference = found.part_of OFFSET 0) AS wider
)
SELECT {_COLUMNS} FROM found"""


async def save(connection: Connection, fact: Fact, last_updated: datetime) -> None:
    """Keep `fact`, unless the kept one is newer by more than clocks may differ (`words.is_last`): a log may be read
    again."""
    await connection.execute(
        f"INSERT INTO directory_fact ({_COLUMNS}, last_updated)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        " ON CONFLICT (reference) DO UPDATE SET"
        " name = excluded.name, address = excluded.address, phone = excluded.phone, zone = excluded.zone,"
        " latitude = excluded.latitude, longitude = excluded.longitude, practitioner = excluded.practitioner,"
        " locations = excluded.locations, organization = excluded.organization, active = excluded.active,"
        " since = excluded.since, until = excluded.until, part_of = excluded.part_of, turns = excluded.turns,"
        " last_updated = greatest(directory_fact.last_updated, excluded.last_updated), gone_at = NULL"
        " WHERE directory_fact.last_updated <= excluded.last_updated + $17::interval",
        fact.reference,
        fact.name,
        list(fact.address),
        fact.phone,
        fact.zone,
        fact.latitude,
        fact.longitude,
        fact.practitioner,
        list(fact.locations),
        fact.organization,
        fact.active,
        fact.since,
        fact.until,
        fact.part_of,
        orjson.dumps(fact.turns).decode() if fact.turns else None,
        last_updated,
        CLOCKS_APART,
    )


async def let_go(connection: Connection, reference: str, now: datetime) -> None:
    """Mark a deleted resource as out of use; its fact still serves for its last messages (`prune`)."""
    await connection.execute(
        "UPDATE directory_fact SET active = false, gone_at = $2 WHERE reference = $1 AND gone_at IS NULL",
        reference,
        now,
    )


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` facts gone since before `before`; how many."""
    rows = await connection.fetch(
        "DELETE FROM directory_fact WHERE reference IN"
        " (SELECT reference FROM directory_fact WHERE gone_at < $1 LIMIT $2) RETURNING reference",
        before,
        limit,
    )
    return len(rows)


async def find(connection: Connection, references: Iterable[str], now: datetime) -> Mapping[str, Fact]:
    """The facts, with names and numbers as of `now`: of `references`; of the roles of professionals among them; of the
    people, places and organisations that these refer to; and of whatever contains those places."""
    rows = await connection.fetch(_FIND, list(references))
    return {row["reference"]: _fact(row).as_of(now) for row in rows}


def name_in_facts(reference: str) -> str:
    """SQL for the name behind `reference`, itself SQL."""
    return f"(SELECT f.name FROM directory_fact AS f WHERE f.reference = {reference})"


def _turn(kept: Mapping[str, Any]) -> Turn:
    address = kept.get("address")
    at = datetime.fromisoformat(kept["at"])
    return Turn(at, kept["name"], kept["phone"], None if address is None else tuple(address))


def _fact(row: asyncpg.Record) -> Fact:
    values = dict(row)
    for name in ("address", "locations"):
        values[name] = tuple(values[name])
    turns = orjson.loads(values["turns"] or "[]")
    values["turns"] = tuple(_turn(turn) for turn in turns)
    return Fact(**values)
