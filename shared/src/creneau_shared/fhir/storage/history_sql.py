"""The statement that reads versions for a history interaction, for any table that keeps the current versions in one
place and the superseded ones in another (FHIR R4 http.html#history).

`_at` asks for versions that were current at some moment of a period. A version of that period is found by its own time.
A version from before it is found by the time of the version that superseded it, which has an index: no end is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from creneau_shared.database.conditions import all_of
from creneau_shared.fhir.search.page_bytes import within
from creneau_shared.fhir.search.sql import Arguments, Statement
from creneau_shared.fhir.storage.store import HistoryQuery


@dataclass(frozen=True, slots=True)
class VersionRows:
    """Rows that are versions. `select` (SELECT … FROM … without WHERE) gives id, version, last_updated, content.

    `bears` gives the condition that a version bears one of some terms, for those who do not see every version.
    `source` is the table under the alias `alias`, whose columns are `id`, `version`, `last_updated`; `served_id` the
    id as it is served, collated by code points; `only` and `deletion` are conditions: which rows are meant, and which
    of them are deletions. `ended`: the column, if there is one, with the time when the version was superseded, or a later
    one. A table that is partitioned by it is read only in the months that may hold the version.
    """

    select: str
    source: str
    alias: str
    served_id: str
    deletion: str
    bears: Callable[[Sequence[str], Arguments], str]
    only: str = "true"
    ended: str | None = None


def history_statement(
    query: HistoryQuery, key: Any, key_type: str, current: VersionRows, past: VersionRows
) -> Statement:
    """At most `query.count` versions, and no more than one beyond a full page (`page_bytes`), newest first. `key` is the
    value of the column `id` for `query.id`."""
    wanted = _Wanted(query, key, key_type)
    limit = wanted.arguments.add(query.count, "bigint")
    versions = " UNION ALL ".join(
        f"({rows.select}{join} WHERE {condition} {wanted.order(rows)} LIMIT {limit})"
        for rows, join, condition in wanted.parts(current, past)
    )
    way = "ASC" if query.backward else "DESC"
    nearest = (
        f"SELECT * FROM ({versions}) AS version (id, version, last_updated, content)"
        f" ORDER BY last_updated {way}, id {way}, version {way} LIMIT {limit}"
    )
    page = within(nearest, "id, version, last_updated, content")
    sql = f"SELECT * FROM ({page}) AS page ORDER BY last_updated DESC, id DESC, version DESC"
    return Statement(sql, tuple(wanted.arguments.values))


def total_statement(
    query: HistoryQuery, key: Any, key_type: str, current: VersionRows, past: VersionRows, most: int | None
) -> Statement:
    """How many versions the query asks for on all pages; each part of them is counted to at most one more than `most`."""
    wanted = _Wanted(replace(query, before=None), key, key_type)
    limit = "" if most is None else f" LIMIT {wanted.arguments.add(most + 1, 'bigint')}"
    counts = [
        f"(SELECT count(*) FROM (SELECT FROM ({rows.select}{join} WHERE {condition}) AS version{limit}) AS counted)"
        for rows, join, condition in wanted.parts(current, past)
    ]
    return Statement(f"SELECT {' + '.join(counts)}", tuple(wanted.arguments.values))


class _Wanted:
    """The conditions of one query; all parts of the statement share its numbered arguments."""

    def __init__(self, query: HistoryQuery, key: Any, key_type: str) -> None:
        self.arguments = arguments = Arguments()
        self._key = arguments.add(key, key_type) if query.id is not None else None
        self._required = query.required
        self._backward = query.backward
        self._since = arguments.add(query.since, "timestamptz") if query.since is not None else None
        self._before = None
        if query.before is not None:
            types = ("timestamptz", "text", "integer")
            values = zip(query.before, types, strict=True)
            self._before = ", ".join(arguments.add(value, kind) for value, kind in values)
        self._low = self._high = None
        if query.at is not None:
            self._low, self._high = (arguments.add(moment, "timestamptz") for moment in query.at)

    def parts(self, current: VersionRows, past: VersionRows) -> Iterator[tuple[VersionRows, str, str]]:
        """Yields for each part its rows, what is joined to them, and the condition. No version is in two parts."""
        yield current, "", self._where(current, self.lived_on(current))
        yield past, "", self._where(past, self.began(past))
        if self._low is not None:
            condition, join = self.superseded(current, past)
            yield past, join, self._where(past, condition)

    def order(self, rows: VersionRows) -> str:
        """The order of one part, in the direction of the page."""
        a, way = rows.alias, "ASC" if self._backward else "DESC"
        return f"ORDER BY {a}.last_updated {way}, {rows.served_id} {way}, {a}.version {way}"

    def _where(self, rows: VersionRows, condition: str) -> str:
        a = rows.alias
        conditions = [rows.only, condition]
        if self._required is not None:
            conditions.append(rows.bears(self._required, self.arguments))
        if self._key is not None:
            conditions.append(f"{a}.id = {self._key}")
        if self._since is not None:
            conditions += [f"{a}.last_updated >= {self._since}", *_ended(rows, f">= {self._since}")]
        if self._before is not None:
            beyond = ">" if self._backward else "<"
            conditions.append(f"({a}.last_updated, {rows.served_id}, {a}.version) {beyond} ({self._before})")
        return all_of(conditions)

    def lived_on(self, rows: VersionRows) -> str:
        """Condition: the version is still current, and was in the period. A deletion counts only when it happened."""
        if self._low is None:
            return "true"
        a = rows.alias
        return (
            f"{a}.last_updated < {self._high} AND (NOT ({rows.deletion}) OR {a}.last_updated >= {self._low})"
        )

    def began(self, rows: VersionRows) -> str:
        """Condition: the version became current in the period."""
        if self._low is None:
            return "true"
        a = rows.alias
        began = [f"{a}.last_updated >= {self._low}", f"{a}.last_updated < {self._high}"]
        return all_of([*began, *_ended(rows, f">= {self._low}")])

    def superseded(self, current: VersionRows, past: VersionRows) -> tuple[str, str]:
        """Condition and join: the version became current before the period and was superseded after its begin."""
        newer = " UNION ALL ".join(
            f"SELECT {rows.alias}.id, {rows.alias}.version FROM {rows.source} AS {rows.alias}"
            " WHERE "
            + all_of(
                [
                    rows.only,
                    f"{rows.alias}.last_updated > {self._low}",
                    *_ended(rows, f"> {self._low}"),
                    *([f"{rows.alias}.id = {self._key}"] if self._key is not None else []),
                ]
            )
            for rows in (current, past)
        )
        a = past.alias
        join = f" JOIN ({newer}) AS newer ON newer.id = {a}.id AND newer.version = {a}.version + 1"
        wanted = [
            f"{a}.last_updated < {self._low}",
            f"NOT ({past.deletion})",
            *_ended(past, f"> {self._low}"),
        ]
        return all_of(wanted), join


def _ended(rows: VersionRows, condition: str) -> list[str]:
    """The condition on when a version ended that follows from one on its own time or its successor's."""
    return [f"{rows.alias}.{rows.ended} {condition}"] if rows.ended is not None else []
