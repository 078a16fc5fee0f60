"""One sender: claims due messages, sends them one after the other, puts down what became of each.

A crash between sending and putting down leaves the message claimed; when the lease runs out it is sent again,
with the same Message-ID, by which mail systems recognise the repeat. The other order would lose messages.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from creneau_notifications.channels.channel import Carrier, Channel, DeliveryError, Sent
from creneau_notifications.delivery import metrics
from creneau_notifications.delivery.admission import Admission, Withheld
from creneau_notifications.domain.address import InvalidAddressError
from creneau_notifications.domain.civil import civil_after
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import Kind
from creneau_notifications.domain.retry import RetryPolicy
from creneau_notifications.domain.visit import Fact, Visit, visit_of
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.storage import facts, messages, recipients
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.messages import Attempt, Message, Status
from creneau_shared.clock import Clock, zone_named
from creneau_shared.database.pool import Connection, Database
from creneau_shared.logging import describe

log = structlog.get_logger(__name__)

LET_GO_AFTER_S = 10.0
"""Carriers that have had nothing to carry for so long let go of their connections."""


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How a sender works."""

    batch_rows: int
    lease: timedelta
    poll_s: float
    look_max_s: float
    facts_patience: timedelta
    facts_retry: timedelta
    retry: RetryPolicy


@dataclass(frozen=True, slots=True)
class Way:
    """One channel, opened for this sender."""

    channel: Channel
    carrier: Carrier


@dataclass(frozen=True, slots=True)
class Close:
    """A decision: the message is over, untried."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """A decision: look again then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """A decision: the lease ran out while others of the batch were sent, and another sender has the message."""


Decision = Close | Later | Lost | Occasion


class Sender:
    """Sends what is due by the channels that it is given, one message at a time. Run several for more at once.

    `site_url`: the pages that messages link to, no trailing slash. `reader_zone`: of recipients who live one knows
    not where.
    """

    def __init__(
        self,
        database: Database,
        communications: Communications,
        ways: Mapping[str, Way],
        site_url: str,
        reader_zone: ZoneInfo,
        limits: DeliveryLimits,
        admission: Admission,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._communications = communications
        self._ways = ways
        self._site_url = site_url
        self._reader_zone = reader_zone
        self._limits = limits
        self._admission = admission
        self._clock = clock
        self._chance = chance

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; the message in hand is finished, the rest of its batch given back."""
        planned = self._database.bells.of(messages.CHANNEL)
        now = asyncio.get_running_loop().time
        let_go_at = math.inf
        try:
            while not stop.is_set():
                rung = planned.rung
                if await self.send_due(stop):
                    let_go_at = now() + LET_GO_AFTER_S
                    continue
                if now() >= let_go_at:
                    await self._let_go()
                    let_go_at = math.inf
                await planned.wait(stop, min(await self._until_due_s(), let_go_at - now()), since=rung)
        finally:
            await self._let_go()

    async def _until_due_s(self) -> float:
        """The pause until something is due, unless something is planned before."""
        async with self._database.connection() as connection:
            due_at = await messages.next_due(connection, self._ways)
        if due_at is None:
            return self._limits.look_max_s
        left_s = (due_at - self._clock.now()).total_seconds()
        return min(left_s, self._limits.look_max_s) if left_s > 0 else self._limits.poll_s

    async def send_due(self, stop: asyncio.Event | None = None) -> int:
        """Claim one batch and deal with each message of it; how many there were."""
        async with self._database.transaction() as connection:
            claimed = await messages.claim(
                connection, self._clock.now(), self._limits.lease, self._limits.batch_rows, self._ways
            )
        waiting = list(claimed)
        try:
            while waiting and not (stop and stop.is_set()):
                await self._deal_with(waiting.pop(0))
        finally:
            if waiting:
                await self._give_back(waiting)
        return len(claimed)

    async def _let_go(self) -> None:
        for way in self._ways.values():
            await way.carrier.close()

    async def _give_back(self, untouched: list[Message]) -> None:
        async with self._database.transaction() as connection:
            for message in untouched:
                await messages.release(connection, message, self._clock.now())

    async def _deal_with(self, message: Message) -> None:
        match await self._decide(message):
            case Close(status, reason):
                await self._close(message, status, reason)
            case Later(at):
                async with self._database.transaction() as connection:
                    await messages.release(connection, message, at)
            case Lost():
                log.warning("lease lost before sending", message=str(message.id), kind=message.kind)
            case Occasion() as occasion:
                await self._try(message, occasion)

    # -- deciding --------------------------------------------------------------------------------------------

    async def _decide(self, message: Message) -> Decision:
        """What becomes of the message as it stands now: much may have happened since its batch was claimed.

        The lease begins anew with each message, so that it need outlast one sending and not a whole batch.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            superseded = await messages.keep(connection, message, now + self._limits.lease)
            if superseded is None:
                return Lost()
            if superseded:
                return Close(Status.CANCELLED, "superseded")
            if now >= message.expires_at:
                return Close(Status.EXPIRED, "too-late")
            contact = await recipients.find(connection, message.recipient)
            known = await facts.find(connection, message.event.appointment.actors)
            decision = self._weigh(message, contact, known, now)
            return await self._admit(connection, message, decision, now)

    async def _admit(
        self, connection: Connection, message: Message, decision: Decision, now: datetime
    ) -> Decision:
        """What is to leave asks whether its address may be written to."""
        if not isinstance(decision, Occasion):
            return decision
        try:
            channel = self._ways[message.channel].channel
            admitted = await self._admission.admit(connection, channel, message, decision, now)
        except InvalidAddressError as error:
            return Close(Status.FAILED, error.reason)
        return Close(Status.CANCELLED, admitted.reason) if isinstance(admitted, Withheld) else admitted

    def _weigh(
        self, message: Message, contact: Contact | None, known: Mapping[str, Fact], now: datetime
    ) -> Decision:
        visit = visit_of(message.event.appointment, known)
        patient_until = max(message.due_at, message.planned_at) + self._limits.facts_patience
        given = self._ways[message.channel].channel.given(contact) if contact is not None else None
        if contact is None or given is None or not visit.complete:
            if now < patient_until:
                return Later(now + self._limits.facts_retry)
            if contact is None:
                return Close(Status.FAILED, "no-contact")
            if given is None:
                return Close(Status.FAILED, "no-address")
        return self._at_a_civil_hour(message, contact, visit, now)

    def _at_a_civil_hour(self, message: Message, contact: Contact, visit: Visit, now: datetime) -> Decision:
        """A reminder waits for the morning, unless that is too late; what answers an act of today does not.

        Planning has put reminders at a civil hour already: this is for those that are late, or whose place
        turned out to be in another zone.
        """
        if message.kind is Kind.REMINDER:
            civil = civil_after(now, visit.zone)
            if now < civil < message.expires_at:
                return Later(civil)
        reader_zone = zone_named(contact.zone) or self._reader_zone
        return Occasion(message.kind, message.event, visit, contact, self._site_url, reader_zone=reader_zone)

    # -- sending ---------------------------------------------------------------------------------------------

    async def _try(self, message: Message, occasion: Occasion) -> None:
        try:
            carrier = self._ways[message.channel].carrier
            sent = await carrier.send(occasion, message.id, self._clock.now())
        except DeliveryError as error:
            await self._failed(message, error)
        except Exception as error:
            log.exception("message could not be sent", message=str(message.id), kind=message.kind)
            await self._failed(message, DeliveryError(describe(error), permanent=False))
        else:
            await self._close(message, Status.SENT, None, self._attempt(message, "accepted", sent=sent))
            lateness = self._clock.now() - max(message.due_at, message.planned_at)
            metrics.LATENESS_SECONDS.observe(lateness.total_seconds())

    # -- putting down ----------------------------------------------------------------------------------------

    async def _failed(self, message: Message, error: DeliveryError) -> None:
        now = self._clock.now()
        attempt = self._attempt(message, "refused" if error.permanent else "deferred", error)
        if error.permanent:
            await self._close(message, Status.FAILED, "refused", attempt)
            return
        again = self._limits.retry.next_attempt(message.attempts, now, message.expires_at, self._chance)
        if again is None:
            await self._close(message, Status.FAILED, "exhausted", attempt)
            return
        async with self._database.transaction() as connection:
            await messages.add_attempt(connection, message.id, attempt)
            postponed = await messages.postpone(connection, message, again, now)
            if postponed is not None:
                await self._communications.show(connection, postponed, now)

    async def _close(
        self, message: Message, status: Status, reason: str | None, attempt: Attempt | None = None
    ) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if attempt is not None:
                await messages.add_attempt(connection, message.id, attempt)
            closed = await messages.finish(connection, message, status, reason, now)
            if closed is not None:
                await self._communications.show(connection, closed, now)
        metrics.FINISHED.labels(message.channel, status).inc()
        if reason is not None:
            metrics.NOT_SENT.labels(message.channel, reason).inc()

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
