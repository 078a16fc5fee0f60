"""What a transaction puts off to its end is there when it commits, in order, and never when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from creneau_shared.database.closing import ClosingInsert, LastWrite, Savepoint
from creneau_shared.database.pool import Database, NestedConnectionError

NOTES = ClosingInsert("note", ("text", "number"), ("text", "integer"))
TALLIES = ClosingInsert("tally", ("text",), ("text",))


@pytest.fixture
async def database(new_database: Any) -> AsyncIterator[Database]:
    async with Database(new_database(), size=3, statement_timeout_s=60) as database:
        await database.pool.execute(
            "CREATE TABLE note (place bigint GENERATED ALWAYS AS IDENTITY, text text, number integer);"
            "CREATE TABLE tally (text text UNIQUE)"
        )
        yield database


async def notes(database: Database) -> list[str]:
    return [row["text"] for row in await database.pool.fetch("SELECT text FROM note ORDER BY place")]


async def test_rows_of_several_tables_are_written_in_order_at_the_end(database: Database) -> None:
    async with database.transaction() as connection:
        await NOTES.run(connection, [("a", 1)])
        await TALLIES.run(connection, [("t",)])
        await NOTES.run(connection, [("b", 2), ("c", None)])
        assert await connection.fetchval("SELECT count(*) FROM note") == 0, "written before the end"
    assert await notes(database) == ["a", "b", "c"]
    assert await database.pool.fetchval("SELECT count(*) FROM tally") == 1


async def test_nothing_is_left_of_a_transaction_that_fails(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await NOTES.run(connection, [("a", 1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await notes(database) == []
    async with database.transaction():
        pass
    assert await notes(database) == [], "the next transaction wrote what the failed one had put off"


async def test_rows_that_cannot_be_written_undo_the_transaction(database: Database) -> None:
    """A closing row is as much a part of it as any other statement."""

    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO note (text) VALUES ('direct')")
            await TALLIES.run(connection, [("same",), ("same",)])

    with pytest.raises(asyncpg.UniqueViolationError):
        await fail()
    assert await notes(database) == []


async def test_what_a_savepoint_undoes_is_forgotten(database: Database) -> None:
    async with database.transaction() as connection:
        await NOTES.run(connection, [("before", 1)])
        with suppress(ZeroDivisionError):
            async with connection.transaction():
                with Savepoint():
                    await NOTES.run(connection, [("undone", 2)])
                    raise ZeroDivisionError
        async with connection.transaction():
            with Savepoint():
                await NOTES.run(connection, [("after", 3)])
    assert await notes(database) == ["before", "after"]


async def test_another_connection_is_written_to_at_once(database: Database) -> None:
    """Only the transaction's own connection closes with it; one used beside it has no end to wait for."""

    async def beside() -> None:
        async with database.connection() as other:
            await NOTES.run(other, [("at once", 1)])

    async with database.transaction():
        await asyncio.create_task(beside())
        assert await notes(database) == ["at once"]
    assert await notes(database) == ["at once"]


async def test_a_task_never_asks_for_a_second_connection_of_a_pool(database: Database) -> None:
    """Ten requests that hold a connection and wait for another would keep everybody waiting for ever: it is refused at
    once, whatever is left in the pool."""
    async with database.transaction():
        with pytest.raises(NestedConnectionError):
            async with database.connection():
                raise AssertionError("unreachable")
    async with database.connection():
        pass  # given back, it may be asked for again


def write(text: str, kind: str = "note") -> LastWrite:
    return LastWrite(kind, f"{kind}_ AS (INSERT INTO note (text) VALUES ($1))", (text,))


async def test_the_last_write_goes_with_the_closing_rows(database: Database) -> None:
    """One statement for all of it: a round trip less for almost every change."""
    sent: list[str] = []
    async with database.transaction() as connection:
        connection.add_query_logger(lambda logged: sent.append(logged.query))
        await write("resource").run(connection)
        await write("hold", "hold").run(connection)
        await TALLIES.run(connection, [("t",)])
        assert sent == []
    assert [query.split()[0] for query in sent] == ["WITH", "COMMIT;"]
    assert sorted(await notes(database)) == ["hold", "resource"]
    assert await database.pool.fetchval("SELECT count(*) FROM tally") == 1


@pytest.mark.parametrize("ask", ["fetch", "fetchrow", "fetchval", "execute", "executemany"])
async def test_everybody_reads_what_they_wrote(database: Database, ask: str) -> None:
    """Whatever is asked in the transaction, what was put off stands there before."""
    more = ([("later",)],) if ask == "executemany" else ()
    async with database.transaction() as connection:
        await write("mine").run(connection)
        await getattr(connection, ask)(
            f"INSERT INTO note (text) SELECT {'$1' if more else 'text || text FROM note'}", *more
        )
    assert await notes(database) == ["mine", "later" if more else "minemine"]


async def test_two_of_a_kind_are_written_one_after_the_other(database: Database) -> None:
    async with database.transaction() as connection:
        await write("first").run(connection)
        await write("second").run(connection)
        await write("third").run(connection)
    assert await notes(database) == ["first", "second", "third"]


async def test_a_last_write_that_fails_or_is_undone_leaves_nothing(database: Database) -> None:
    async def clash() -> None:
        async with database.transaction() as connection:
            await TALLIES.run(connection, [("same",)])
            await LastWrite("tally", "tally_ AS (INSERT INTO tally VALUES ($1))", ("same",)).run(connection)
            await NOTES.run(connection, [("lost", 1)])

    with pytest.raises(asyncpg.UniqueViolationError):
        await clash()
    with suppress(ZeroDivisionError):
        async with database.transaction() as connection:
            await write("undone").run(connection)
            raise ZeroDivisionError
    async with database.transaction() as connection:
        await write("kept").run(connection)
        with suppress(ZeroDivisionError):
            async with connection.transaction():
                with Savepoint():
                    await write("undone too").run(connection)
                    raise ZeroDivisionError
    assert await notes(database) == ["kept"]
    assert await database.pool.fetchval("SELECT count(*) FROM tally") == 0


async def test_a_last_write_outside_a_transaction_is_written_at_once(database: Database) -> None:
    async with database.connection() as connection:
        await write("at once").run(connection)
        assert await notes(database) == ["at once"]
