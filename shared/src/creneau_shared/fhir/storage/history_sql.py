"""The statement that reads versions for a history interaction, for any table that keeps the current versions in one
place and the superseded ones in another (FHIR R4 http.html#history).

`_at` asks for what was current at some moment of a period. A version of that period is found by its own time; one
from before it, by the version that superseded it, whose time an index knows: nothing but times is ever stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from creneau_shared.database.conditions import all_of
from creneau_shared.fhir.search.sql import Arguments, Statement
from creneau_shared.fhir.storage.store import HistoryQuery


@dataclass(frozen=True, slots=True)
class VersionRows:
    """Rows that are versions. `select` (SELECT … FROM … without WHERE) gives id, version, last_updated, content.

    `bears` gives the condition that a version bears one of some terms, for those who do not see every version.
    `source` is the table under the alias `alias`, whose columns are `id`, `version`, `last_updated`; `served_id` the
    id as it is served, collated by code points; `only` and `deletion` are conditions: which rows are meant, and which
    of them are deletions.
    """

    select: str
    source: str
    alias: str
    served_id: str
    deletion: str
    bears: Callable[[Sequence[str], Arguments], str]
    only: str = "true"


ORDER = "ORDER BY last_updated DESC, id DESC, version DESC LIMIT $1::bigint"


def history_statement(
    query: HistoryQuery, key: Any, key_type: str, current: VersionRows, past: VersionRows
) -> Statement:
    """At most `query.count` versions, newest first. `key` is the value of the column `id` for `query.id`."""
    arguments = Arguments()
    arguments.add(query.count, "bigint")
    wanted = _Wanted(query, arguments, arguments.add(key, key_type) if query.id is not None else None)
    parts = [wanted.part(current, wanted.lived_on(current)), wanted.part(past, wanted.began(past))]
    if query.at is not None:
        parts.append(wanted.part(past, *wanted.superseded(current, past)))
    versions = " UNION ALL ".join(f"({part})" for part in parts)
    sql = f"SELECT * FROM ({versions}) AS version (id, version, last_updated, content) {ORDER}"
    return Statement(sql, tuple(arguments.values))


class _Wanted:
    """The conditions of one query, its arguments numbered once for all the parts of the statement."""

    def __init__(self, query: HistoryQuery, arguments: Arguments, key: str | None) -> None:
        self._key = key
        self._required = query.required
        self._arguments = arguments
        self._since = arguments.add(query.since, "timestamptz") if query.since is not None else None
        self._before = None
        if query.before is not None:
            types = ("timestamptz", "text", "integer")
            values = zip(query.before, types, strict=True)
            self._before = ", ".join(arguments.add(value, kind) for value, kind in values)
        self._low = self._high = None
        if query.at is not None:
            self._low, self._high = (arguments.add(moment, "timestamptz") for moment in query.at)

    def part(self, rows: VersionRows, condition: str, join: str = "") -> str:
        a = rows.alias
        conditions = [rows.only, condition]
        if self._required is not None:
            conditions.append(rows.bears(self._required, self._arguments))
        if self._key is not None:
            conditions.append(f"{a}.id = {self._key}")
        if self._since is not None:
            conditions.append(f"{a}.last_updated >= {self._since}")
        if self._before is not None:
            conditions.append(f"({a}.last_updated, {rows.served_id}, {a}.version) < ({self._before})")
        order = f"ORDER BY {a}.last_updated DESC, {rows.served_id} DESC, {a}.version DESC LIMIT $1"
        return f"{rows.select}{join} WHERE {all_of(conditions)} {order}"

    def lived_on(self, rows: VersionRows) -> str:
        """The version is current to this day. A deletion is told when it happened, not for ever after."""
        if self._low is None:
            return "true"
        a = rows.alias
        return (
            f"{a}.last_updated < {self._high} AND (NOT ({rows.deletion}) OR {a}.last_updated >= {self._low})"
        )

    def began(self, rows: VersionRows) -> str:
        """The version became current in the period."""
        if self._low is None:
            return "true"
        a = rows.alias
        return f"{a}.last_updated >= {self._low} AND {a}.last_updated < {self._high}"

    def superseded(self, current: VersionRows, past: VersionRows) -> tuple[str, str]:
        """Condition and join: the version became current before the period and was superseded after its begin."""
        newer = " UNION ALL ".join(
            f"SELECT {rows.alias}.id, {rows.alias}.version FROM {rows.source} AS {rows.alias}"
            f" WHERE {rows.only} AND {rows.alias}.last_updated > {self._low}"
            + (f" AND {rows.alias}.id = {self._key}" if self._key is not None else "")
            for rows in (current, past)
        )
        a = past.alias
        join = f" JOIN ({newer}) AS newer ON newer.id = {a}.id AND newer.version = {a}.version + 1"
        return f"{a}.last_updated < {self._low} AND NOT ({past.deletion})", join
