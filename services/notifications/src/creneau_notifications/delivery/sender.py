"""One sender: claims due messages, sends them by several lanes at once, puts down what became of each.

A crash between sending and putting down leaves the message claimed; when the lease runs out it is sent again,
with the same Message-ID, by which mail systems recognise the repeat. The other order would lose messages.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import structlog

from creneau_notifications.channels.channel import Carrier, Channel, DeliveryError, Reached, Sent
from creneau_notifications.delivery import metrics
from creneau_notifications.delivery.admission import Admission, Admitted, Answer, Candidate, Withheld
from creneau_notifications.delivery.ledger import Ledger, Outcome, count
from creneau_notifications.delivery.ways import by_its_way
from creneau_notifications.domain.address import InvalidAddressError
from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.domain.civil import waits_until
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import ASKING, NOTICES, Kind
from creneau_notifications.domain.retry import UNCERTAIN_SPENDS, RetryPolicy
from creneau_notifications.domain.visit import Fact, Visit, visit_of
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.storage import appointments, facts, messages, recipients
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.messages import Attempt, Claimed, Closing, Message, Postponement, Status
from creneau_shared.clock import Clock, zone_named
from creneau_shared.database.pool import Connection, Database
from creneau_shared.logging import describe

log = structlog.get_logger(__name__)

LET_GO_AFTER_S = 10.0
"""Carriers that have had nothing to carry for so long let go of their connections."""
FRESH_FOR = timedelta(seconds=0.2)
"""How long a check of a message holds: the lanes' next messages are checked together, and a lane may be slow."""
LEASE_SHARE = 4
"""A message that waits longer than lease / this renews its lease."""
LOOK_SHARE = 10
"""A message that has waited for its contact, or at night for its facts, looks for them again after a wait / this."""
LOOK_PAUSE_MAX = timedelta(minutes=10)


def sending_max(lease: timedelta) -> timedelta:
    """How long one sending may take before its lease runs out, which a message may have waited for its turn with."""
    return lease - lease / LEASE_SHARE


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How a sender works."""

    batch_rows: int
    """messages claimed at a time"""
    batch_rows_max: int
    """upper limit: a sender that finds full batches doubles the number each time, up to this"""
    lease: timedelta
    poll_s: float
    look_max_s: float
    facts_patience: timedelta
    facts_retry: timedelta
    retry: RetryPolicy


@dataclass(frozen=True, slots=True)
class Way:
    """One channel, opened for one lane: a carrier carries one message at a time."""

    channel: Channel
    carrier: Carrier


@dataclass(frozen=True, slots=True)
class Later:
    """A decision: wait until `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Leaving:
    """A claimed message, and what it says."""

    message: Message
    occasion: Occasion
    contact: Contact
    """by which it was decided, before its address was read"""
    held_at: datetime
    """since when its lease runs"""
    looked_at: datetime | None
    """when it was last checked (superseded, contact); None: not since its batch began to leave"""
    superseded: bool = False

    def as_it_is(self, known: Mapping[str, AppointmentEvent], *, superseded: bool) -> Leaving:
        """The message as of now: occurrences of a series that have changed meanwhile are left out."""
        message = self.message.as_it_is(known)
        occasion = replace(self.occasion, event=message.event)
        return replace(self, occasion=occasion, superseded=superseded or message.superseded)


@dataclass(slots=True)
class _Batch:
    """The batch that the lanes share."""

    waiting: deque[Leaving]
    written: list[asyncio.Task[None]] = field(default_factory=list)
    """tasks that write the outcomes"""
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


Decision = Closing | Later | Occasion


class Sender:
    """Sends due messages by the given channels: one at a time in each lane, which has its own carriers. Run several senders,
    in as many processes as wanted, for more at once.

    `lanes`: ways by channel name; `offered`: names of the channels by which this deployment plans. `site_url`: the pages
    that messages link to, no trailing slash. `reader_zone`: for recipients whose zone is unknown. `ledger`: shared by the
    senders of a process.
    """

    def __init__(
        self,
        database: Database,
        communications: Communications,
        ledger: Ledger,
        *,
        lanes: Sequence[Mapping[str, Way]],
        offered: Collection[str],
        site_url: str,
        reader_zone: ZoneInfo,
        limits: DeliveryLimits,
        admission: Admission,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._communications = communications
        self._ledger = ledger
        self._lanes = lanes
        self._ways = lanes[0]
        self._channels = {name: way.channel for name, way in self._ways.items()}
        self._offered = frozenset(offered)
        self._site_url = site_url
        self._reader_zone = reader_zone
        self._limits = limits
        self._admission = admission
        self._clock = clock
        self._chance = chance
        self._rows = limits.batch_rows
        self._planned = database.bells.of(messages.CHANNEL)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; the message in hand is finished, the rest of its batch given back."""
        now = asyncio.get_running_loop().time
        let_go_at = math.inf
        try:
            while not stop.is_set():
                rung = self._planned.rung
                if await self.send_due(stop):
                    let_go_at = now() + LET_GO_AFTER_S
                    continue
                if now() >= let_go_at:
                    await self._let_go()
                    let_go_at = math.inf
                wait_s = min(await self._until_due_s(), let_go_at - now())
                await self._planned.wait(stop, wait_s, since=rung)
        finally:
            await self._let_go()

    async def _until_due_s(self) -> float:
        """The pause until something is due, unless something is planned before."""
        async with self._database.connection() as connection:
            due_at = await messages.next_due(connection, self._clock.now(), self._ways)
        if due_at is None:
            return self._limits.look_max_s
        left_s = (due_at - self._clock.now()).total_seconds()
        return min(left_s, self._limits.look_max_s) if left_s > 0 else self._limits.poll_s

    async def send_due(self, stop: asyncio.Event | None = None) -> int:
        """Claim a batch and deal with its messages; returns how many were due."""
        claimed, looked_at = await self._claim()
        there_is_more = looked_at == self._rows
        self._rows = (
            min(2 * self._rows, self._limits.batch_rows_max) if there_is_more else self._limits.batch_rows
        )
        batch = _Batch(deque(claimed))
        try:
            worked = await asyncio.gather(
                *(self._work_off(lane, batch, stop) for lane in self._lanes[: len(claimed)]),
                return_exceptions=True,
            )
        finally:
            # What has left is put down whatever became of the rest.
            put_down = await asyncio.gather(*batch.written, return_exceptions=True)
            if batch.waiting:
                await self._give_back([one.message for one in batch.waiting])
        for error in (*worked, *put_down):
            if isinstance(error, BaseException):
                raise error
        return looked_at

    async def _work_off(self, lane: Mapping[str, Way], batch: _Batch, stop: asyncio.Event | None) -> None:
        """Send what waits, one after the other, beside the other lanes."""
        while batch.waiting and not (stop and stop.is_set()):
            one = batch.waiting[0]
            if self._has_waited(one) and not all(task.done() for task in batch.written):
                await asyncio.wait(batch.written)  # before the lease of what has left already runs out
                continue
            if not self._is_fresh(one):
                await self._look_again(batch)
                continue
            batch.waiting.popleft()
            outcome = (
                Outcome(one.message, _SUPERSEDED)
                if one.superseded
                else await self._try(one.message, one.occasion, lane)
            )
            batch.written.append(asyncio.create_task(self._ledger.put_down(outcome)))

    async def _let_go(self) -> None:
        for lane in self._lanes:
            for way in lane.values():
                await way.carrier.close()

    async def _give_back(self, untouched: list[Message]) -> None:
        async with self._database.transaction() as connection:
            await messages.release(connection, untouched, self._clock.now())

    # -- deciding --------------------------------------------------------------------------------------------

    async def _claim(self) -> tuple[list[Leaving], int]:
        """Decide on a batch of due messages in one transaction: claim and count those to send, close or put off the rest.
        Returns those to send, and how many were due."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            due = await messages.look_for_due(connection, now, self._rows, self._ways)
            if not due:
                return [], 0
            decided = await self._decide(connection, due, now)
            admitted = await self._admit(connection, decided, now)
            closed = [(m, decision) for m, decision in admitted if isinstance(decision, Closing)]
            put_off = [(m, decision.at) for m, decision in admitted if isinstance(decision, Later)]
            leaving = [
                (m, decision, by.contact)
                for (m, decision), (_, by) in zip(admitted, decided, strict=True)
                if isinstance(decision, Admitted) and isinstance(by, Occasion)
            ]
            await messages.claim(
                connection,
                [Claimed(m, decision.mailbox) for m, decision, _ in leaving],
                now + self._limits.lease,
            )
            await messages.put_off(connection, put_off)
            shown = await messages.close(connection, closed, now)
            await self._communications.show(connection, shown, now)
        for message, closing in closed:
            count(message, closing)
        # The lanes' first messages were just checked.
        return [
            Leaving(m, decision.occasion, contact, now, looked_at=now if number < len(self._lanes) else None)
            for number, (m, decision, contact) in enumerate(leaving)
        ], len(due)

    async def _decide(
        self, connection: Connection, due: Sequence[Message], now: datetime
    ) -> list[tuple[Message, Decision]]:
        contacts = await recipients.find(connection, {message.recipient for message in due})
        actors = {actor for message in due for actor in message.event.appointment.actors}
        known = await facts.find(connection, actors, now)
        states = await self._series_of(connection, due)
        asking = [message.id for message in due if message.kind in ASKING]
        beside = await messages.beside_others(connection, asking)
        leaving = [by_its_way(message, contacts, self._channels, self._offered, beside) for message in due]
        return [
            (message, self._weigh(message.as_it_is(states), contacts.get(message.recipient), known, now))
            for message in leaving
        ]

    @staticmethod
    async def _series_of(connection: Connection, due: Sequence[Message]) -> Mapping[str, AppointmentEvent]:
        """The last events of the visits in messages about a series."""
        return await appointments.find(connection, {one.appointment for m in due for one in m.tells_of})

    async def _admit(
        self, connection: Connection, decided: Sequence[tuple[Message, Decision]], now: datetime
    ) -> list[tuple[Message, Closing | Later | Admitted]]:
        """Asks the admission whether each message to send may leave."""
        candidates = [
            Candidate(self._channels[message.channel], message, decision)
            for message, decision in decided
            if isinstance(decision, Occasion)
        ]
        answers = iter(await self._admission.admit(connection, candidates, now) if candidates else ())
        return [
            (message, _admitted(next(answers)) if isinstance(decision, Occasion) else decision)
            for message, decision in decided
        ]

    def _weigh(
        self, message: Message, contact: Contact | None, known: Mapping[str, Fact], now: datetime
    ) -> Decision:
        if message.superseded:
            return _SUPERSEDED
        if now >= message.expires_at:
            return _NO_CONTACT if contact is None else Closing(Status.EXPIRED, "too-late")
        waited = now - max(message.due_at, message.planned_at)
        if contact is None:
            return Later(min(now + self._until_next_look(waited), message.expires_at))
        visit = visit_of(message.event.appointment, known)
        given = self._channels[message.channel].given(contact)
        if (given is None or not visit.complete) and waited < self._limits.facts_patience:
            return Later(now + self._limits.facts_retry)
        if given is None:
            return Closing(Status.FAILED, "no-address")
        decided = self._at_a_civil_hour(message, contact, visit, now)
        if isinstance(decided, Later) and not visit.complete:
            # The place may turn out to be where it is day already.
            return Later(min(now + self._until_next_look(waited), decided.at))
        return decided

    def _until_next_look(self, waited: timedelta) -> timedelta:
        """The pause before a contact or a fact is looked for again: a share of the wait so far, since what it comes by may be
        far behind."""
        return max(self._limits.facts_retry, min(waited / LOOK_SHARE, LOOK_PAUSE_MAX))

    def _at_a_civil_hour(self, message: Message, contact: Contact, visit: Visit, now: datetime) -> Decision:
        """At night, delays a reminder, and any message of a channel that wakes people, until the morning unless that is too
        late. A notice of a visit soon after that morning leaves at once, and so does any other message of a silent channel.

        Planning puts reminders at civil hours; this is for those that are late, or whose place turned out to be in another
        zone.
        """
        if message.kind is Kind.REMINDER or self._channels[message.channel].rules.wakes:
            pressing = message.event.moments if message.kind in NOTICES else ()
            civil = waits_until(pressing, now, visit.zone)
            if now < civil < message.expires_at:
                return Later(civil)
        reader_zone = zone_named(contact.zone) or self._reader_zone
        return Occasion(message.kind, message.event, visit, contact, self._site_url, reader_zone=reader_zone)

    # -- sending ---------------------------------------------------------------------------------------------

    async def _look_again(self, batch: _Batch) -> None:
        """Check one waiting message for each lane: whether it was superseded while others were sent. Give messages back
        whose contact has changed, to be decided anew. Drop messages that another sender claimed after the lease ran out.
        Renew the lease when a message has waited, so that a lease need outlast one sending, not a whole batch."""
        async with batch.looking:
            if not batch.waiting or self._is_fresh(batch.waiting[0]):
                return  # another lane has looked
            now, ones = self._clock.now(), list(islice(batch.waiting, len(self._lanes)))
            waited = any(map(self._has_waited, ones))
            claimed = [one.message for one in ones]
            async with self._database.connection() as connection:
                if waited:
                    found = await messages.keep(connection, claimed, now + self._limits.lease)
                else:
                    found = await messages.superseded_since(connection, claimed)
                states = await self._series_of(connection, claimed)
                contacts = await recipients.find(connection, {message.recipient for message in claimed})
            elsewhere = {
                one.message.id: one.message
                for one in ones
                if found.get(one.message.id) is False and contacts.get(one.message.recipient) != one.contact
            }
            if elsewhere:
                await self._give_back(list(elsewhere.values()))
            for one in ones:
                batch.waiting.popleft()
                if one.message.id not in found:
                    log.warning(
                        "lease lost before sending", message=str(one.message.id), kind=one.message.kind
                    )
            batch.waiting.extendleft(
                replace(
                    one.as_it_is(states, superseded=found[one.message.id]),
                    looked_at=now,
                    held_at=now if waited else one.held_at,
                )
                for one in reversed(ones)
                if one.message.id in found.keys() - elsewhere.keys()
            )

    def _is_fresh(self, one: Leaving) -> bool:
        """Whether it was looked at for the lane that takes it now."""
        return one.looked_at is not None and self._clock.now() - one.looked_at < FRESH_FOR

    def _has_waited(self, one: Leaving) -> bool:
        return self._clock.now() - one.held_at >= self._limits.lease / LEASE_SHARE

    async def _try(self, message: Message, occasion: Occasion, lane: Mapping[str, Way]) -> Outcome:
        try:
            carrier = lane[message.channel].carrier
            sent = await carrier.send(occasion, message.id, self._clock.now())
        except DeliveryError as error:
            return self._failed(message, error)
        except Exception as error:
            log.exception("message could not be sent", message=str(message.id), kind=message.kind)
            return self._failed(message, DeliveryError(describe(error), permanent=False))
        lateness = self._clock.now() - max(message.due_at, message.planned_at)
        metrics.LATENESS_SECONDS.observe(lateness.total_seconds())
        return Outcome(message, Closing(Status.SENT, None), self._attempt(message, "accepted", sent=sent))

    # -- what is put down ------------------------------------------------------------------------------------

    def _failed(self, message: Message, error: DeliveryError) -> Outcome:
        attempt = self._attempt(message, "refused" if error.permanent else "deferred", error)
        if error.permanent:
            return Outcome(message, Closing(Status.FAILED, "refused"), attempt)
        now, spends = self._clock.now(), _SPENDS[error.reached]
        again = self._limits.retry.next_attempt(
            message.attempts, message.spent, spends, now, message.expires_at, self._chance
        )
        if again is None:
            return Outcome(message, Closing(Status.FAILED, "exhausted"), attempt)
        return Outcome(message, Postponement(again, spends), attempt)

    def _attempt(
        self, message: Message, result: str, error: DeliveryError | None = None, sent: Sent | None = None
    ) -> Attempt:
        metrics.ATTEMPTS.labels(message.channel, result).inc()
        return Attempt(
            at=self._clock.now(),
            result=result,
            smtp_code=error.smtp_code if error else None,
            error=str(error) if error else None,
            message_id=self._ways[message.channel].carrier.message_id(message.id),
            sent_to=sent.address if sent else None,
            subject=sent.subject if sent else None,
        )


_SPENDS = {Reached.NOBODY: 0, Reached.REFUSAL: 1, Reached.UNKNOWN: 1, Reached.SILENCE: UNCERTAIN_SPENDS}
"""what a failed try counts"""
_SUPERSEDED = Closing(Status.CANCELLED, "superseded")
_NO_CONTACT = Closing(Status.FAILED, "no-contact")


def _admitted(answer: Answer) -> Closing | Admitted:
    if isinstance(answer, InvalidAddressError):
        return Closing(Status.FAILED, answer.reason)
    return Closing(Status.CANCELLED, answer.reason) if isinstance(answer, Withheld) else answer
