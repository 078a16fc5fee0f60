"""What a transaction does as it closes: it writes the rows that nothing in it reads again, in one statement before
COMMIT, and says after COMMIT what it has brought.

Events and audit rows are such rows. A transaction of twenty writes would send forty statements for them; it sends
one. They are part of the transaction all the same: they are there when it commits, and never when it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ClosingInsert:
    """An INSERT of any number of rows, whose columns are given as arrays."""

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    """the SQL type of each column"""
    made: Mapping[str, str] = field(default_factory=dict, hash=False)
    """columns that are made of what is given, and the expression that makes them"""

    def sql(self, first_parameter: int = 1) -> str:
        """The statement, with its arrays from `$first_parameter`; rows are inserted in their order in the arrays."""
        arrays = ", ".join(f"${first_parameter + i}::{kind}[]" for i, kind in enumerate(self.types))
        columns = ", ".join(self.columns)
        values = ", ".join(self.made.get(name, name) for name in self.columns)
        return (
            f"INSERT INTO {self.table} ({columns}) "
            f"SELECT {values} FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, ordinality) "
            "ORDER BY ordinality"
        )

    async def run(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert `rows` as the transaction of `connection` closes; at once outside `Database.transaction`."""
        closing = _current.get()
        if closing is not None and closing.connection is connection:
            closing.rows += [(self, row) for row in rows]
        elif rows:
            await connection.execute(self.sql(), *_arrays(rows))


@dataclass
class Closing:
    """The rows that one transaction has put off."""

    connection: Any
    rows: list[tuple[ClosingInsert, tuple[Any, ...]]] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)
    """whose bells are rung once it has committed"""

    async def write(self) -> None:
        """Insert them all."""
        by_insert: dict[ClosingInsert, list[tuple[Any, ...]]] = {}
        for insert, row in self.rows:
            by_insert.setdefault(insert, []).append(row)
        self.rows.clear()
        if not by_insert:
            return
        statements: list[str] = []
        arguments: list[list[Any]] = []
        for insert, rows in sorted(by_insert.items(), key=lambda item: item[0].table):
            statements.append(insert.sql(len(arguments) + 1))
            arguments += _arrays(rows)
        *first, last = statements
        ctes = ", ".join(f"closing_{n} AS ({statement})" for n, statement in enumerate(first))
        await self.connection.execute(f"WITH {ctes} {last}" if ctes else last, *arguments)


def _arrays(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


_current: ContextVar[Closing | None] = ContextVar("closing transaction", default=None)


def begin(connection: Any) -> tuple[Closing, Token[Closing | None]]:
    """From now on, in this context, what `connection`'s transaction can put off is put off."""
    closing = Closing(connection)
    return closing, _current.set(closing)


def announce(connection: Any, channel: str) -> None:
    """Once the transaction of `connection` has committed, whoever waits for what comes on this channel is woken
    (`wakeups`). Outside `Database.transaction` nobody is: they look by themselves after a while."""
    closing = _current.get()
    if closing is not None and closing.connection is connection:
        closing.channels.add(channel)


def end(token: Token[Closing | None]) -> None:
    """The transaction is over, or writes at once again."""
    _current.reset(token)


class Savepoint:
    """Within a block that may be undone alone: what it had put off is forgotten with it."""

    def __enter__(self) -> None:
        closing = _current.get()
        self._closing, self._mark = closing, len(closing.rows) if closing is not None else 0

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._closing is not None:
            del self._closing.rows[self._mark :]
