"""Applies the effects of events to the database, each exactly once: in one transaction with its inbox row."""

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
"""Applies one event in the connection's transaction. It sends nothing and calls no other service."""

BatchHandler = Callable[[Connection, Sequence[ReceivedEvent]], Awaitable[None]]
"""Applies several events, in their order, in the connection's transaction."""

TOGETHER_MAX = 50
"""most events that a `BatchHandler` gets at once; between two such calls the time is checked"""


@dataclass(frozen=True, slots=True)
class Together:
    """The handler of event types of which consecutive events are handled in one call."""

    handle: BatchHandler


class Rewound(Exception):  # noqa: N818 - not an error: a command came in between
    """The partition must be read from its beginning: nothing of this batch may be recorded."""


class Effects:
    """The effects of the events of one purpose, by event type.

    `name`, `handlers`, `alone`, `replica` and `seconds` are those of the `Consumer`; `moved` is called after each step.
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
        """The number of events, from the first on, that may share a transaction."""
        if self._alone(events[0]):
            return 1
        return next((n for n, event in enumerate(events) if self._alone(event)), len(events))

    def go_together(self, events: Sequence[ReceivedEvent]) -> bool:
        """Whether each event is of a type handled together (`Together`) or is skipped, and none needs its own
        transaction."""
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
        """Writes inbox rows and effects in one transaction, and with `recorded` the offsets reached in the partitions.

        Returns how many events it covered: all, or those (at least one) handled before `until`.
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
        """The steps in their order: the handler, its events, and the index of the next event after them. Events that are
        not among `first` are left out."""
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
    """(topic, partition) → (last offset, greatest generation) of the events."""
    reached: dict[tuple[str, int], tuple[int, int]] = {}
    for event in events:
        offset, generation = reached.get((event.topic, event.partition), (event.offset, event.generation))
        reached[event.topic, event.partition] = (
            max(offset, event.offset),
            max(generation, event.generation),
        )
    return reached


def _once(events: Sequence[ReceivedEvent], fresh: set[UUID]) -> list[ReceivedEvent]:
    """The events whose id is in `fresh`, each once, since a batch may hold an event twice."""
    first = {event.id: event for event in reversed(events)}
    return [event for event in events if event.id in fresh and first[event.id] is event]
