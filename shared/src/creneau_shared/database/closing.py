"""Work that a transaction puts off until it closes: writes in one statement before COMMIT, wake-ups after COMMIT.

No transaction reads its own events and audit rows. A transaction of twenty writes would send forty statements for
them; it sends one. The last write (`LastWrite`) goes in the same statement, which saves its round trip. It is written
earlier if another statement runs in the transaction (`Database`), so that the transaction reads what it wrote.
All of these writes are part of the transaction: they commit or roll back with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_ARGUMENT = re.compile(r"\$(\d+)")


@dataclass(frozen=True)
class ClosingInsert:
    """An INSERT of any number of rows: plain values for one row, arrays of columns for several. Most transactions have
    one row, and an array of one value costs several times as much to send as the value."""

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    """the SQL type of each column"""
    made: Mapping[str, str] = field(default_factory=dict, hash=False)
    """computed columns → the expression over the given values"""

    def sql(self, *, of_one: bool, first_parameter: int = 1) -> str:
        """The statement for one row, or for several in order; its arguments begin with `$first_parameter`."""
        columns = ", ".join(self.columns)
        values = ", ".join(self.made.get(name, name) for name in self.columns)
        kinds = [
            f"${first_parameter + i}::{kind}{'' if of_one else '[]'}" for i, kind in enumerate(self.types)
        ]
        given = (
            f"(VALUES ({', '.join(kinds)})) AS given ({columns})"
            if of_one
            else f"unnest({', '.join(kinds)}) WITH ORDINALITY AS given ({columns}, ordinality) ORDER BY ordinality"
        )
        return f"INSERT INTO {self.table} ({columns}) SELECT {values} FROM {given}"

    async def run(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts `rows` when the transaction of `connection` closes; at once outside `Database.transaction`."""
        closing = _current.get()
        if closing is not None and closing.connection is connection:
            closing.rows += [(self, row) for row in rows]
        elif rows:
            await connection.execute(self.sql(of_one=len(rows) == 1), *_arguments(rows))


@dataclass(frozen=True, slots=True)
class LastWrite:
    """A write (as common table expressions) whose result nobody needs before the transaction closes."""

    kind: str
    """two writes of one kind need two statements; writes of different kinds share neither a table nor a name"""
    ctes: str
    """`name AS (INSERT …), …` with the arguments `$1`, `$2`, …; no name begins with `closing_`"""
    arguments: Sequence[Any]

    async def run(self, connection: Any) -> None:
        """Writes when the transaction of `connection` closes; at once outside `Database.transaction`."""
        closing = _current.get()
        if closing is None or closing.connection is not connection:
            await connection.execute(_together((self.ctes,), (len(self.arguments),), ()), *self.arguments)
            return
        if any(write.kind == self.kind for write in closing.last):
            await closing.write_last()
        closing.last.append(self)


@dataclass
class Closing:
    """The work that one transaction has put off."""

    connection: Any
    session: Any
    """the pooled session behind the proxy `connection` (`_Session.itself`)"""
    rows: list[tuple[ClosingInsert, tuple[Any, ...]]] = field(default_factory=list)
    last: list[LastWrite] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)
    """channels whose bells are rung after the commit"""
    notes: list[tuple[str, Any]] = field(default_factory=list)
    """(topic, fact) that `Database.closes_with` acts upon before the commit (`note`)"""

    async def write(self) -> None:
        """Writes the rows and the last writes."""
        rows, self.rows = self.rows, []
        await self._write(rows)

    async def write_last(self) -> None:
        """Writes the last writes alone, without `rows`: another statement is about to run in the transaction."""
        await self._write(())

    async def _write(self, rows: Sequence[tuple[ClosingInsert, tuple[Any, ...]]]) -> None:
        last, self.last = self.last, []
        by_insert: dict[ClosingInsert, list[tuple[Any, ...]]] = {}
        for insert, row in rows:
            by_insert.setdefault(insert, []).append(row)
        if not by_insert and not last:
            return
        inserts = tuple(sorted(by_insert, key=lambda insert: insert.table))
        ctes = tuple(write.ctes for write in last)
        lengths = tuple(len(write.arguments) for write in last)
        sql = _together(ctes, lengths, tuple((insert, len(by_insert[insert]) == 1) for insert in inserts))
        arguments = [argument for write in last for argument in write.arguments]
        for insert in inserts:
            arguments += _arguments(by_insert[insert])
        await self.connection.execute(sql, *arguments)

    def forget(self) -> None:
        """Drops the put-off writes and notes: the transaction is rolled back."""
        self.rows.clear()
        self.last.clear()
        self.notes.clear()


@lru_cache(1_000)
def _together(
    ctes: tuple[str, ...], lengths: tuple[int, ...], inserts: tuple[tuple[ClosingInsert, bool], ...]
) -> str:
    """One statement of all `ctes` and `inserts`. `lengths`: the number of arguments of each cte; the arguments of the
    inserts follow. Each insert comes with whether it has one row."""
    parts: list[str] = []
    taken = 0
    for cte, length in zip(ctes, lengths, strict=True):
        parts.append(_renumbered(cte, taken))
        taken += length
    for n, (insert, of_one) in enumerate(inserts):
        parts.append(f"closing_{n} AS ({insert.sql(of_one=of_one, first_parameter=taken + 1)})")
        taken += len(insert.types)
    return f"WITH {', '.join(parts)} SELECT"


def _renumbered(ctes: str, by: int) -> str:
    return _ARGUMENT.sub(lambda found: f"${int(found[1]) + by}", ctes)


def _arguments(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The values of a single row, or the columns of several rows."""
    return list(rows[0]) if len(rows) == 1 else [list(column) for column in zip(*rows, strict=True)]


_current: ContextVar[Closing | None] = ContextVar("closing transaction", default=None)


async def write_before(session: Any) -> None:
    """Writes the put-off last writes of the transaction of `session`, so that the next statement sees them."""
    closing = _current.get()
    if closing is not None and closing.last and closing.session is session:
        await closing.write_last()


def begin(connection: Any, session: Any) -> tuple[Closing, Token[Closing | None]]:
    """Starts putting off the writes of `connection`'s transaction, in this context. `session` is the pooled session behind
    `connection`, which calls `write_before`."""
    closing = Closing(connection, session)
    return closing, _current.set(closing)


def announce(connection: Any, channel: str) -> None:
    """Wakes those who wait on this channel, once the transaction of `connection` has committed (`wakeups`). Outside
    `Database.transaction` it wakes nobody: they look by themselves after a while."""
    closing = _current.get()
    if closing is not None and closing.connection is connection:
        closing.channels.add(channel)


def note(connection: Any, topic: str, what: Any) -> None:
    """Notes a fact for `Database.closes_with`, which closes the transaction of `connection`; no effect outside
    `Database.transaction`."""
    closing = _current.get()
    if closing is not None and closing.connection is connection:
        closing.notes.append((topic, what))


def take_notes(connection: Any, topic: str) -> list[Any]:
    """Removes and returns the notes of this topic in the transaction of `connection`, in their order."""
    closing = _current.get()
    if closing is None or closing.connection is not connection or not closing.notes:
        return []
    found = [what for of, what in closing.notes if of == topic]
    closing.notes = [one for one in closing.notes if one[0] != topic]
    return found


def end(token: Token[Closing | None]) -> None:
    """Ends the putting off that `begin` started: writes go out at once again."""
    _current.reset(token)


class Savepoint:
    """A block that may be rolled back alone: an exception drops the writes and notes that the block had put off."""

    def __enter__(self) -> None:
        closing = _current.get()
        self._closing, self._mark = closing, len(closing.rows) if closing is not None else 0
        self._noted = list(closing.notes) if closing is not None else []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._closing is not None:
            del self._closing.rows[self._mark :]
            self._closing.last.clear()
            self._closing.notes = self._noted
