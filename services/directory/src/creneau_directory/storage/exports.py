"""Reads the data of an `$export`: the limits of its files, and the resources of one.

A file is a range of ids, read when it is fetched: it has the resources of that moment, without those created after the
manifest's time. A resource changed in between comes in its new state, and again with the next `_since`. Nothing is lost
between two exports, not even writes that were not committed yet: the next `_since` lies before them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_directory.domain.ror.visibility import SENSITIVE_TERM
from creneau_shared.database.conditions import all_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.request import Condition
from creneau_shared.fhir.search.sql import EVERYTHING, Catalog, Compiler
from creneau_shared.fhir.storage.generic import owned_by


@dataclass(frozen=True, slots=True)
class Part:
    """A file: the ids after `after` and up to `until`, and how many there were."""

    after: str
    until: str
    count: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The export of one type: created up to `at`, changed after `since`, fulfilling one of `filters` (none: all)."""

    resource_type: str
    at: datetime
    since: datetime | None
    filters: tuple[tuple[Condition, ...], ...]


_LONGEST_UNDER_WAY = """
SELECT clock_timestamp() - min(xact_start) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
"""


async def longest_under_way(connection: Connection) -> timedelta:
    """The age of the oldest open transaction in this database, among those of this database role, which all processes of
    the directory use. Any write that a later statement does not see yet belongs to one of them, or to one begun since. An
    age, not a time: the server's clock may differ."""
    age = await connection.fetchval(_LONGEST_UNDER_WAY)
    assert isinstance(age, timedelta), "a role that sees not even its own transaction cannot tell"
    return age


async def parts_of(connection: Connection, catalog: Catalog, wanted: Wanted, size: int) -> list[Part]:
    """The files of a type, with `size` resources each except the last."""
    compiler, where = _compiled(catalog, wanted)
    name = catalog.table(wanted.resource_type).source("m")
    step = compiler.arguments.add(size, "bigint")
    rows = await connection.fetch(
        "SELECT max(id) AS until, count(*) AS count FROM"
        f" (SELECT m.id, (row_number() OVER (ORDER BY m.id) - 1) / {step} AS part FROM {name} WHERE {where}) AS numbered"
        " GROUP BY part ORDER BY part",
        *compiler.arguments.values,
    )
    parts, after = [], ""
    for row in rows:
        parts.append(Part(after, row["until"], row["count"]))
        after = row["until"]
    return parts


async def contents_of(
    connection: Connection, catalog: Catalog, wanted: Wanted, after: str, until: str, most: int
) -> Sequence[bytes]:
    """The first `most` resources of a file, in the order of ids."""
    compiler, where = _compiled(catalog, wanted)
    first, last = (compiler.arguments.add(end, "text") for end in (after, until))
    limit = compiler.arguments.add(most, "bigint")
    rows = await connection.fetch(
        f"SELECT m.content FROM {catalog.table(wanted.resource_type).source('m')}"
        f" WHERE {where} AND m.id > {first} AND m.id <= {last} ORDER BY m.id LIMIT {limit}",
        *compiler.arguments.values,
    )
    return [row["content"] for row in rows]


async def deleted_since(
    connection: Connection, resource_type: str, since: datetime, at: datetime
) -> Sequence[str]:
    """The ids of a type that were deleted after `since` and up to `at`."""
    rows = await connection.fetch(
        f"SELECT id FROM {table_name(resource_type)} WHERE deleted AND last_updated > $1 AND last_updated <= $2 ORDER BY id",
        since,
        at,
    )
    return [row["id"] for row in rows]


async def no_longer_shown(
    connection: Connection, organizations: Collection[str], since: datetime, at: datetime
) -> Sequence[str]:
    """The ids of offers that callers who speak for exactly these organizations (ids) saw at `since` and may not see now:
    they became sensitive, or changed owner. Without a kept version of that time the offer is included: it may have been
    shown."""
    rows = await connection.fetch(
        f"""SELECT id FROM healthcare_service AS unit
        WHERE {_HIDDEN.format(terms="terms")} AND NOT deleted AND last_updated > $3 AND last_updated <= $4 AND version > 1
        AND NOT EXISTS (SELECT FROM resource_history AS past WHERE resource_type = 'HealthcareService' AND past.id = unit.id
          AND (past.version = 1 AND past.last_updated > $3
            OR past.last_updated <= $3 AND past.superseded_at > $3
              AND (past.content IS NULL OR {_HIDDEN.format(terms="past.compartment")})))
        ORDER BY id""",
        SENSITIVE_TERM,
        owned_by(organizations),
        since,
        at,
    )
    return [row["id"] for row in rows]


_HIDDEN = "({terms} @> ARRAY[$1::text] AND NOT {terms} && $2::text[])"


def _compiled(catalog: Catalog, wanted: Wanted) -> tuple[Compiler, str]:
    compiler = Compiler(catalog, EVERYTHING)
    table = catalog.table(wanted.resource_type)
    at = compiler.arguments.add(wanted.at, "timestamptz")
    parts = [table.live("m"), f"NOT (m.version = 1 AND m.last_updated > {at})"]
    if wanted.since is not None:
        parts.append(f"m.last_updated > {compiler.arguments.add(wanted.since, 'timestamptz')}")
    if wanted.filters:
        ways = [compiler.where(table, conditions, "m") for conditions in wanted.filters]
        parts.append(f"({' OR '.join(f'({way})' for way in ways)})")
    return compiler, all_of(parts)
