"""The effects of events in the database, each exactly once: with its inbox row, in one transaction."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from creneau_shared.correlation import set_correlation_id
from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging import inbox, metrics, progress, rebuild
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.rebuild import Replica

Handler = Callable[[Connection, ReceivedEvent], Awaitable[None]]
"""Gives one event its effect, in the connection's transaction. It sends nothing and calls no one."""

BatchHandler = Callable[[Connection, Sequence[ReceivedEvent]], Awaitable[None]]
"""Gives several events, in their order, their effects, in the connection's transaction."""

TOGETHER_MAX = 50
"""events that a `BatchHandler` is given at once: no longer does it go on without a look at the time"""


@dataclass(frozen=True, slots=True)
class Together:
    """Event types whose events are handled several at once, where several come one after the other."""

    handle: BatchHandler


class Rewound(Exception):  # noqa: N818 - not an error: a command came in between
    """The partition is to be read from its beginning: nothing of this batch may be recorded."""


class Effects:
    """What the events of one purpose do, by their types.

    `name`, `handlers`, `alone` and `replica` are those of the `Consumer`; `seconds` is its clock, and `moved` hears of
    each step that is done.
    """

    def __init__(
        self,
        name: str,
        handlers: Mapping[str, Handler | Together],
        database: Database,
        *,
        alone: Callable[[ReceivedEvent], bool],
        replica: Replica | None,
        seconds: Callable[[], float],
        moved: Callable[[], None],
    ) -> None:
        self._name = name
        self._handlers = dict(handlers)
        self._database = database
        self._alone = alone
        self._replica = replica
        self._seconds = seconds
        self._moved = moved

    def share_a_transaction(self, events: Sequence[ReceivedEvent]) -> int:
        """How many of these events, from the first on, may share a transaction."""
        if self._alone(events[0]):
            return 1
        return next((n for n, event in enumerate(events) if self._alone(event)), len(events))

    def go_together(self, events: Sequence[ReceivedEvent]) -> bool:
        """Whether all of them are of those that are handled several at once, or are skipped."""
        handlers = [self._handlers.get(event.type) for event in events]
        return all(handler is None or isinstance(handler, Together) for handler in handlers) and not any(
            self._alone(event) for event in events
        )

    async def apply(
        self,
        events: Sequence[ReceivedEvent],
        *,
        recorded: bool = False,
        until: float = math.inf,
    ) -> int:
        """One transaction: inbox rows, effects and, if that is `recorded`, how far their partitions are handled; how many
        events it took in.

        Those are all of them, or as many (one at the least) as were handled until this moment.
        """
        mine = [event for event in events if event.type in self._handlers]
        handled: list[ReceivedEvent] = []
        done = len(events)
        async with self._database.transaction() as connection:
            fresh = await inbox.first_times(connection, self._name, [event.id for event in mine])
            begun = 0
            for handler, step, after in self._steps(events, _once(mine, fresh)):
                if begun and self._seconds() >= until:
                    done = begun
                    await inbox.forget(connection, self._name, fresh - {event.id for event in handled})
                    break
                if step:
                    set_correlation_id(step[0].correlation_id)
                    with progress.heard_by(self._moved):
                        await _handle(handler, connection, step)
                    handled += step
                    self._moved()
                begun = after
            if recorded:
                if self._replica is not None:
                    said = [event.key for event in events[:done] if event.raw is not None]
                    await rebuild.mark(connection, self._name, said)
                if not await inbox.advance(connection, self._name, _reached(events[:done])):
                    raise Rewound
        for event in handled:
            metrics.HANDLED.labels(self._name, event.type).inc()
        taken = sum(event.type in self._handlers for event in events[:done])
        metrics.DUPLICATES.labels(self._name).inc(taken - len(handled))
        metrics.SKIPPED.labels(self._name).inc(done - taken)
        return done

    def _steps(
        self, events: Sequence[ReceivedEvent], first: Sequence[ReceivedEvent]
    ) -> Iterator[tuple[Handler | Together | None, list[ReceivedEvent], int]]:
        """What is handled one after the other: by whom, which events, and the number of the event after them. Those that
        are not among `first` are passed over."""
        wanted, number = {id(event) for event in first}, 0
        while number < len(events):
            handler = self._handlers.get(events[number].type)
            most = TOGETHER_MAX if isinstance(handler, Together) else 1
            after = number + 1
            while (
                after < min(len(events), number + most) and self._handlers.get(events[after].type) is handler
            ):
                after += 1
            yield handler, [event for event in events[number:after] if id(event) in wanted], after
            number = after


async def _handle(
    handler: Handler | Together | None, connection: Connection, events: Sequence[ReceivedEvent]
) -> None:
    if isinstance(handler, Together):
        await handler.handle(connection, events)
    elif handler is not None:
        await handler(connection, events[0])


def _reached(events: Sequence[ReceivedEvent]) -> Mapping[tuple[str, int], tuple[int, int]]:
    """For each partition of the events (topic, number): the last offset, and the greatest generation."""
    reached: dict[tuple[str, int], tuple[int, int]] = {}
    for event in events:
        offset, generation = reached.get((event.topic, event.partition), (event.offset, event.generation))
        reached[event.topic, event.partition] = (
            max(offset, event.offset),
            max(generation, event.generation),
        )
    return reached


def _once(events: Sequence[ReceivedEvent], fresh: set[UUID]) -> list[ReceivedEvent]:
    """Those whose id is in `fresh`, each the first time only: a batch may hold an event twice."""
    first = {event.id: event for event in reversed(events)}
    return [event for event in events if event.id in fresh and first[event.id] is event]
