"""From what happened to what is to be told, in the caller's transaction. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from creneau_notifications.channels.registry import Channels
from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import Kind, Plan, PlannedMessage, plan, reminders
from creneau_notifications.domain.rules import ChannelRules
from creneau_notifications.domain.visit import Fact, visit_of
from creneau_notifications.storage import (
    accounts,
    addresses,
    appointments,
    departures,
    facts,
    messages,
    recipients,
)
from creneau_notifications.storage.accounts import Person
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.messages import Message
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection


class Notifications:
    """Keeps the replicas, and plans or withdraws messages. `channels`: those on offer."""

    def __init__(self, communications: Communications, clock: Clock, channels: Channels) -> None:
        self._communications = communications
        self._clock = clock
        self._channels = channels

    async def appointment_changed(self, connection: Connection, event: AppointmentEvent) -> None:
        """Plan what `event` calls for. An event that is not newer than what is known has no effect."""
        patient = event.appointment.patient
        if patient is not None:
            await recipients.lock(connection, patient)
        if patient is not None and await departures.is_gone(connection, patient):
            event = replace(event, appointment=replace(event.appointment, patient=None))
        known = await appointments.lock(connection, event.appointment.id)
        decided = await self._decide(connection, event, known)
        if known is not None and not decided.supersedes:
            # The pending messages tell of the earlier event: it stays the one that more are planned from.
            event = replace(event, id=known.id, change=known.change, time=known.time)
        if not await appointments.save(connection, event):
            return  # as new a version was known already
        if decided.supersedes:
            withdrawn = await messages.supersede(connection, event.appointment.id, self._clock.now())
            await self._show(connection, withdrawn)
        await self._plan(connection, event, decided.messages)

    async def contact_changed(self, connection: Connection, contact: Contact, at: datetime) -> None:
        """Keep the contact, and plan the reminders that it makes possible (a telephone number was added).

        Of somebody who was erased nothing is kept any more: this is a log that is read again.
        """
        await recipients.lock(connection, contact.recipient)
        if await departures.is_leaving(connection, contact.recipient):
            return
        await recipients.save(connection, contact, at)
        channels = self._planned_for(contact)
        now = self._clock.now()
        for event in await appointments.ahead_of(connection, contact.recipient, now):
            if event.appointment.status == "booked":
                known = await facts.find(connection, event.appointment.actors)
                zone = visit_of(event.appointment, known).zone
                possible = reminders(event, now=now, zone=zone, channels=channels)
                await self._plan(connection, event, possible)

    async def contact_deleted(self, connection: Connection, recipient: str) -> None:
        """Forget the recipient and withdraw what was still to be told."""
        await recipients.lock(connection, recipient)
        await recipients.forget(connection, recipient)
        await addresses.forget(connection, recipient)
        withdrawn = await messages.cancel_for(connection, recipient, "contact-deleted", self._clock.now())
        await self._show(connection, withdrawn)

    async def account_changed(self, connection: Connection, account: str, people: Sequence[Person]) -> None:
        """Keep for whom the account acts; nobody: forget it."""
        await accounts.save(connection, account, people)

    async def person_erased(
        self,
        connection: Connection,
        recipient: str,
        at: datetime,
        forget_by: datetime,
        awaited: Collection[str] | None,
    ) -> None:
        """Withdraw all that was to be told but cancellations; once those have left, the recipient is forgotten."""
        await departures.begin(connection, recipient, at, forget_by, awaited)
        withdrawn = await messages.cancel_for(
            connection, recipient, "contact-deleted", self._clock.now(), besides=(Kind.CANCELLATION,)
        )
        await self._show(connection, withdrawn)

    async def fact_changed(self, connection: Connection, fact: Fact, last_updated: datetime) -> None:
        """Keep what a directory resource says."""
        await facts.save(connection, fact, last_updated)

    async def fact_deleted(self, connection: Connection, reference: str) -> None:
        """Forget what a deleted directory resource said."""
        await facts.forget(connection, reference)

    async def _decide(
        self, connection: Connection, event: AppointmentEvent, known: AppointmentEvent | None
    ) -> Plan:
        patient = event.appointment.patient
        contact = await recipients.find(connection, patient) if patient else None
        visit = visit_of(event.appointment, await facts.find(connection, event.appointment.actors))
        return plan(
            event,
            known=known.appointment if known else None,
            now=self._clock.now(),
            zone=visit.zone,
            channels=self._planned_for(contact),
        )

    def _planned_for(self, contact: Contact | None) -> Mapping[str, ChannelRules]:
        """The rules of the channels by which the recipient is planned for."""
        return {
            name: channel.rules for name, channel in self._channels.items() if channel.is_planned_for(contact)
        }

    async def _plan(
        self, connection: Connection, event: AppointmentEvent, wanted: Sequence[PlannedMessage]
    ) -> None:
        now = self._clock.now()
        for message in await messages.plan(connection, event, wanted, now):
            await self._communications.announce(connection, message, now)

    async def _show(self, connection: Connection, changed: Iterable[Message]) -> None:
        for message in changed:
            await self._communications.show(connection, message, self._clock.now())
