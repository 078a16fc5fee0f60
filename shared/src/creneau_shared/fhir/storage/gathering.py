"""Reads by id that are asked for at the same moment, answered by one statement.

A statement costs the process and PostgreSQL much the same whether it finds one row or twenty, and the rows of one
busy moment come together anyway. A read joins only a statement that has not been sent yet, so that it sees
everything that was committed before it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.storage.store import Stored

TOGETHER_MAX = 100
"""ids of one statement; more wait for the next one"""


@runtime_checkable
class ReadsMany(Protocol):
    """The part of a store that can look several resources up at once."""

    async def read_many(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        """The current version of each id that was ever used, by its id as asked for."""
        ...


class GatheredReads:
    """The reads of one store's resources. One statement is under way at a time; reads that come meanwhile share
    the next."""

    def __init__(self, database: Database, store: ReadsMany) -> None:
        self._database = database
        self._store = store
        self._waiting: list[tuple[str, asyncio.Future[Stored | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def read(self, id_: str) -> Stored | None:
        """The current version, also when it is a deletion; None when the id was never used."""
        answer: asyncio.Future[Stored | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((id_, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await answer

    async def _read_all(self) -> None:
        try:
            # Checked again once the connection is given back: reads that came meanwhile have started no other task.
            while self._waiting:
                async with self._database.connection() as connection:
                    while self._waiting:
                        together = self._waiting[:TOGETHER_MAX]
                        del self._waiting[:TOGETHER_MAX]
                        await self._read_together(connection, together)
        except BaseException as error:
            # No connection, or the process ends: nobody is left waiting.
            for _, answer in self._waiting:
                _fail(answer, error)
            self._waiting.clear()
            if not isinstance(error, Exception):
                raise
        finally:
            self._reading = None

    async def _read_together(
        self, connection: Connection, together: Sequence[tuple[str, asyncio.Future[Stored | None]]]
    ) -> None:
        try:
            found = await self._store.read_many(connection, list({id_ for id_, _ in together}))
        except BaseException as error:
            for _, answer in together:
                _fail(answer, error)
            raise
        for id_, answer in together:
            if not answer.done():  # whoever was cancelled no longer waits
                answer.set_result(found.get(id_))


def _fail(answer: asyncio.Future[Stored | None], error: BaseException) -> None:
    if answer.done():
        return
    if isinstance(error, asyncio.CancelledError):
        answer.cancel()
    else:
        answer.set_exception(error)
