"""Writes the outcome of each try. Outcomes that arrive during one write go together into the next.

Senders share one ledger. At rest it writes an outcome at once, alone; under load many go into one transaction. `put_down`
returns once its outcome is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from creneau_notifications.delivery import metrics
from creneau_notifications.storage import messages
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.messages import Attempt, Closing, Message, Postponement
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claimed message: closed, or postponed."""

    message: Message
    end: Closing | Postponement
    attempt: Attempt | None = None


class Ledger:
    """Writes outcomes, one transaction after the other."""

    def __init__(self, database: Database, communications: Communications, clock: Clock) -> None:
        self._database = database
        self._communications = communications
        self._clock = clock
        self._waiting: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def put_down(self, outcome: Outcome) -> None:
        """Return once it is written; raises the error that prevented it."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting, []
            try:
                await self._write([outcome for outcome, _ in together])
            except Exception as error:
                await self._one_by_one(together, error)
            else:
                for _, written in together:
                    _tell(written)

    async def _one_by_one(
        self, together: Sequence[tuple[Outcome, asyncio.Future[None]]], error: Exception
    ) -> None:
        """Writes each alone: one that fails does not stop the others."""
        for outcome, written in together:
            if len(together) > 1:
                try:
                    await self._write([outcome])
                except Exception as own:
                    _tell(written, own)
                else:
                    _tell(written)
            else:
                _tell(written, error)

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        now = self._clock.now()
        tried = [(one.message.id, one.attempt) for one in outcomes if one.attempt is not None]
        over = [(one.message, one.end) for one in outcomes if isinstance(one.end, Closing)]
        async with self._database.transaction() as connection:
            changed = await messages.finish(connection, [(one.message, one.end) for one in outcomes], now)
            await messages.add_attempts(connection, tried)
            await self._communications.show(connection, changed, now)
        for message, closing in over:
            count(message, closing)


def count(message: Message, closing: Closing) -> None:
    """One message is over."""
    metrics.FINISHED.labels(message.channel, closing.status).inc()
    if closing.reason is not None:
        metrics.NOT_SENT.labels(message.channel, closing.reason).inc()


def _tell(written: asyncio.Future[None], error: Exception | None = None) -> None:
    if written.done():
        return  # nobody waits for it any more
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
