"""What a transaction does as it closes: it writes what nothing in it waits for, in one statement before COMMIT, and says
after COMMIT what it has brought.

Events and audit rows are rows that nothing reads again: a transaction of twenty writes would send forty statements for
them; it sends one. What was written last (`LastWrite`) goes with them, so that it needs no round trip of its own; it
is written before, as soon as anything else is asked in the transaction (`Database`), so that
everybody reads what they wrote. All of it is part of the transaction: there when it commits, and never when it does not.
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
    """An INSERT of any number of rows: the values of one, or the columns of several as arrays. One row is what most
    transactions have, and an array costs several times what its only value does to be sent."""

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    """the SQL type of each column"""
    made: Mapping[str, str] = field(default_factory=dict, hash=False)
    """columns that are made of what is given, and the expression that makes them"""

    def sql(self, *, of_one: bool, first_parameter: int = 1) -> str:
        """The statement for one row, or for several in their order; its arguments begin with `$first_parameter`."""
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
        """Insert `rows` as the transaction of `connection` closes; at once outside `Database.transaction`."""
        closing = _current.get()
        if closing is not None and closing.connection is connection:
            closing.rows += [(self, row) for row in rows]
        elif rows:
            await connection.execute(self.sql(of_one=len(rows) == 1), *_arguments(rows))


@dataclass(frozen=True, slots=True)
class LastWrite:
    """A statement whose answer nothing waits for: common table expressions that write."""

    kind: str
    """two of one kind are two statements; those of different kinds neither share a table nor a name"""
    ctes: str
    """`name AS (INSERT …), …` with the arguments `$1`, `$2`, …; no name begins with `closing_`"""
    arguments: Sequence[Any]

    async def run(self, connection: Any) -> None:
        """Carry it out as the transaction of `connection` closes; at once outside `Database.transaction`."""
        closing = _current.get()
        if closing is None or closing.connection is not connection:
            await connection.execute(_together((self.ctes,), (len(self.arguments),), ()), *self.arguments)
            return
        if any(write.kind == self.kind for write in closing.last):
            await closing.write_last()
        closing.last.append(self)


@dataclass
class Closing:
    """What one transaction has put off."""

    connection: Any
    session: Any
    """what `connection` stands for, as it knows itself"""
    rows: list[tuple[ClosingInsert, tuple[Any, ...]]] = field(default_factory=list)
    last: list[LastWrite] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)
    """whose bells are rung once it has committed"""
    notes: list[tuple[str, Any]] = field(default_factory=list)
    """what has happened in it, by topic, that somebody acts upon before it commits (`note`)"""

    async def write(self) -> None:
        """Write it all."""
        rows, self.rows = self.rows, []
        await self._write(rows)

    async def write_last(self) -> None:
        """Write what is no row that is never read again: something else is asked before the transaction closes."""
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
        """The transaction is undone, and what it had put off with it."""
        self.rows.clear()
        self.last.clear()
        self.notes.clear()


@lru_cache(1_000)
def _together(
    ctes: tuple[str, ...], lengths: tuple[int, ...], inserts: tuple[tuple[ClosingInsert, bool], ...]
) -> str:
    """One statement of expressions with so many arguments each, and of inserts (and whether of one row each) whose
    arguments come after those."""
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
    """The values of the only row, or the columns of several."""
    return list(rows[0]) if len(rows) == 1 else [list(column) for column in zip(*rows, strict=True)]


_current: ContextVar[Closing | None] = ContextVar("closing transaction", default=None)


async def write_before(session: Any) -> None:
    """Whoever asks `session` anything finds what its transaction has written last."""
    closing = _current.get()
    if closing is not None and closing.last and closing.session is session:
        await closing.write_last()


def begin(connection: Any, session: Any) -> tuple[Closing, Token[Closing | None]]:
    """From now on, in this context, what `connection`'s transaction can put off is put off; `session` is what it stands for,
    and calls `write_before`."""
    closing = Closing(connection, session)
    return closing, _current.set(closing)


def announce(connection: Any, channel: str) -> None:
    """Once the transaction of `connection` has committed, whoever waits for what comes on this channel is woken
    (`wakeups`). Outside `Database.transaction` nobody is: they look by themselves after a while."""
    closing = _current.get()
    if closing is not None and closing.connection is connection:
        closing.channels.add(channel)


def note(connection: Any, topic: str, what: Any) -> None:
    """Whoever closes the transaction of `connection` (`Database.closes_with`) is to know of this; outside
    `Database.transaction` nobody does."""
    closing = _current.get()
    if closing is not None and closing.connection is connection:
        closing.notes.append((topic, what))


def take_notes(connection: Any, topic: str) -> list[Any]:
    """What was noted under this topic in the transaction of `connection`, in its order, and is no more."""
    closing = _current.get()
    if closing is None or closing.connection is not connection or not closing.notes:
        return []
    found = [what for of, what in closing.notes if of == topic]
    closing.notes = [one for one in closing.notes if one[0] != topic]
    return found


def end(token: Token[Closing | None]) -> None:
    """The transaction is over, or writes at once again."""
    _current.reset(token)


class Savepoint:
    """Within a block that may be undone alone: what it had put off is forgotten with it."""

    def __enter__(self) -> None:
        closing = _current.get()
        self._closing, self._mark = closing, len(closing.rows) if closing is not None else 0
        self._noted = list(closing.notes) if closing is not None else []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._closing is not None:
            del self._closing.rows[self._mark :]
            self._closing.last.clear()
            self._closing.notes = self._noted
