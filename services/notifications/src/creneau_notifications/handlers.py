"""Turns events into planned messages, in the caller's transaction. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import product

from creneau_notifications.channels.registry import Channels
from creneau_notifications.domain.address import InvalidAddressError
from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import Kind, Plan, plan, reminders
from creneau_notifications.domain.previously import TELLING_A_START, from_what_they_know, may_differ
from creneau_notifications.domain.rules import ChannelRules
from creneau_notifications.domain.visit import Fact, visit_of
from creneau_notifications.storage import (
    accounts,
    addresses,
    appointments,
    codes,
    departures,
    facts,
    messages,
    recipients,
    words,
)
from creneau_notifications.storage.accounts import Person
from creneau_notifications.storage.addresses import Keyring
from creneau_notifications.storage.communications import Communications
from creneau_notifications.storage.messages import Planned
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection


class Notifications:
    """Keeps the replicas, and plans or withdraws messages. `channels`: those on offer."""

    def __init__(
        self, communications: Communications, clock: Clock, channels: Channels, keyring: Keyring
    ) -> None:
        self._communications = communications
        self._keyring = keyring
        self._clock = clock
        self._channels = channels

    async def appointments_changed(self, connection: Connection, events: Sequence[AppointmentEvent]) -> None:
        """Plan what the events call for, in their order. One that is not newer than what is known has no effect."""
        for together in _of_different_appointments(events):
            await self._appointments_changed(connection, together)

    async def _appointments_changed(self, connection: Connection, events: Sequence[AppointmentEvent]) -> None:
        patients = {patient for event in events for patient in event.appointment.patients}
        await recipients.lock(connection, patients)
        departed = await departures.left_among(connection, patients)
        events = [_without(event, departed.gone) for event in events]
        known = await appointments.lock(connection, [event.appointment.id for event in events])
        events = [event.following(known.get(event.appointment.id)) for event in events]
        events = await self._from_what_they_know(connection, events, known)
        decided = await self._decide(connection, events, known, departed.leaving)
        kept = [_as_told(event, plan, known.get(event.appointment.id)) for event, plan in decided]
        saved = await appointments.save(connection, kept)
        now, ready = (
            self._clock.now(),
            [
                (event, plan)
                for event, (_, plan) in zip(kept, decided, strict=True)
                if event.appointment.id in saved
            ],
        )
        told = {event.appointment.id: known.get(event.appointment.id, event) for event, _ in ready}
        kinds = {event.appointment.id: plan.withdraws for event, plan in ready if plan.withdraws}
        left = {event.appointment.id: plan.leavers for event, plan in ready if plan.leavers}
        withdrawn = await messages.supersede(connection, told, kinds, left, now)
        await self._communications.show(connection, withdrawn, now)
        await self._plan(
            connection,
            [
                Planned(event.told_to(message.recipient), message)
                for event, plan in ready
                for message in plan.messages
            ],
        )

    async def contact_changed(self, connection: Connection, contact: Contact, at: datetime) -> None:
        """Keep the contact, and plan the reminders that it makes possible (a telephone number was added, or the person is
        reached again).

        Ignores the contact of an erased person: an old log is being read again.
        """
        await recipients.lock(connection, [contact.recipient])
        if await departures.is_leaving(connection, contact.recipient):
            return
        if not await words.is_last(connection, "contact", contact.recipient, at):
            return
        if not await recipients.save(connection, contact, at):
            return
        channels = self._planned_for(contact)
        now = self._clock.now()
        for last in await appointments.ahead_of(connection, contact.recipient, now):
            event = last.told_to(contact.recipient)
            if event.appointment.status == "booked":
                known = await facts.find(connection, event.appointment.actors, now)
                zone = visit_of(event.appointment, known).zone
                possible = reminders(event, now=now, zone=zone, channels=channels)
                wanted = [Planned(event, message) for message in possible]
                kept = await messages.plan(connection, wanted, now)
                await self._communications.show(connection, [*kept.new, *kept.again], now)

    async def contact_deleted(self, connection: Connection, recipient: str, at: datetime) -> None:
        """Forget the recipient and withdraw what was still to be told."""
        await recipients.lock(connection, [recipient])
        if await words.is_last(connection, "contact", recipient, at, gone_at=self._clock.now()):
            await self._forget_contact(connection, recipient)

    async def contact_missing(self, connection: Connection, recipient: str) -> None:
        """Forget the recipient: a rebuild lacks it."""
        await recipients.lock(connection, [recipient])
        await words.forget(connection, "contact", recipient)
        await self._forget_contact(connection, recipient)

    async def _forget_contact(self, connection: Connection, recipient: str) -> None:
        # Messages first: a sender locks them before it asks what is known of addresses.
        withdrawn = await messages.cancel_for(connection, recipient, "contact-deleted", self._clock.now())
        await self._forget_codes(connection, recipient)
        await recipients.forget(connection, recipient)
        await addresses.forget(connection, recipient)
        await self._communications.show(connection, withdrawn, self._clock.now())

    async def _forget_codes(self, connection: Connection, recipient: str) -> None:
        """Ends the codes sent to the recipient's addresses; that they were sent stays counted."""
        known = await recipients.find(connection, [recipient])
        for channel, contact in product(self._channels.values(), known.values()):
            given = channel.given(contact)
            with suppress(InvalidAddressError):
                if given is not None:
                    await codes.forget(connection, self._keyring.hashed(channel.address(given)))

    async def account_changed(
        self, connection: Connection, account: str, people: Sequence[Person], at: datetime
    ) -> None:
        """Keep for whom the account acts; nobody: forget it."""
        gone_at = None if people else self._clock.now()
        if await words.is_last(connection, "account", account, at, gone_at=gone_at):
            await accounts.save(connection, account, people)

    async def account_missing(self, connection: Connection, account: str) -> None:
        """Forget the account: a rebuild lacks it."""
        await words.forget(connection, "account", account)
        await accounts.save(connection, account, [])

    async def person_erased(
        self,
        connection: Connection,
        recipient: str,
        at: datetime,
        forget_by: datetime,
        awaited: Collection[str] | None,
    ) -> None:
        """Withdraw all that was to be told but cancellations; once those have left, the recipient is forgotten."""
        await recipients.lock(connection, [recipient])
        await departures.begin(connection, recipient, at, forget_by, awaited)
        withdrawn = await messages.cancel_for(
            connection, recipient, "contact-deleted", self._clock.now(), besides=(Kind.CANCELLATION,)
        )
        await self._communications.show(connection, withdrawn, self._clock.now())

    async def fact_changed(
        self, connection: Connection, fact: Fact, last_updated: datetime, at: datetime
    ) -> None:
        """Keep what a directory resource says."""
        if await words.is_last(connection, "fact", fact.reference, at):
            await facts.save(connection, fact, last_updated)

    async def fact_deleted(self, connection: Connection, reference: str, at: datetime) -> None:
        """The directory has it no more."""
        now = self._clock.now()
        if await words.is_last(connection, "fact", reference, at, gone_at=now):
            await facts.let_go(connection, reference, now)

    async def fact_missing(self, connection: Connection, reference: str) -> None:
        """A rebuild has found nothing of it."""
        await words.forget(connection, "fact", reference)
        await facts.let_go(connection, reference, self._clock.now())

    @staticmethod
    async def _from_what_they_know(
        connection: Connection, events: Sequence[AppointmentEvent], known: Mapping[str, AppointmentEvent]
    ) -> list[AppointmentEvent]:
        """The events with the starts that patients were told last, where the news of the last event waits still."""
        asked = [e.appointment.id for e in events if may_differ(e, known.get(e.appointment.id))]
        waiting = await messages.waiting(connection, asked, TELLING_A_START) if asked else {}
        return [
            from_what_they_know(event, known.get(event.appointment.id), waiting.get(event.appointment.id, {}))
            for event in events
        ]

    async def _decide(
        self,
        connection: Connection,
        events: Sequence[AppointmentEvent],
        known: Mapping[str, AppointmentEvent],
        leaving: Collection[str],
    ) -> list[tuple[AppointmentEvent, Plan]]:
        patients = {patient for event in events for patient in event.appointment.patients}
        contacts = await recipients.find(connection, patients)
        actors = {actor for event in events for actor in event.appointment.actors}
        told = await facts.find(connection, actors, self._clock.now())
        return [
            (event, self._planned_of(event, known.get(event.appointment.id), told, contacts, leaving))
            for event in events
        ]

    def _planned_of(
        self,
        event: AppointmentEvent,
        before: AppointmentEvent | None,
        told: Mapping[str, Fact],
        contacts: Mapping[str, Contact],
        leaving: Collection[str],
    ) -> Plan:
        """The plan for all its patients; without any, only withdrawals."""
        now, zone = self._clock.now(), visit_of(event.appointment, told).zone
        plans = [
            plan(
                event,
                known=before.appointment if before else None,
                now=now,
                zone=zone,
                channels=self._planned_for(contacts.get(patient or "")),
                leaves=patient in leaving,
                to=patient,
                basis=before,
            )
            for patient in event.appointment.patients or (None,)
        ]
        return replace(plans[0], messages=tuple(message for one in plans for message in one.messages))

    def _planned_for(self, contact: Contact | None) -> Mapping[str, ChannelRules]:
        """The rules of the channels by which the recipient is planned for."""
        return {
            name: channel.rules for name, channel in self._channels.items() if channel.is_planned_for(contact)
        }

    async def _plan(self, connection: Connection, wanted: Sequence[Planned]) -> None:
        now = self._clock.now()
        kept = await messages.plan(connection, wanted, now)
        # A message due now gets its Communication with its outcome: soon, and in one write.
        await self._communications.announce(connection, [m for m in kept.new if m.due_at > now], now)
        # What was withdrawn has its Communication already.
        await self._communications.show(connection, kept.again, now)


def _of_different_appointments(events: Sequence[AppointmentEvent]) -> Iterator[list[AppointmentEvent]]:
    """The events in their order, in groups in which no appointment comes twice."""
    group: dict[str, AppointmentEvent] = {}
    for event in events:
        if event.appointment.id in group:
            yield list(group.values())
            group = {}
        group[event.appointment.id] = event
    if group:
        yield list(group.values())


def _without(event: AppointmentEvent, gone: Collection[str]) -> AppointmentEvent:
    """The event without the patients who have been forgotten."""
    appointment = event.appointment
    if not set(gone) & set(appointment.patients):
        return event
    patient = None if appointment.patient in gone else appointment.patient
    others = tuple(other for other in appointment.others if other not in gone)
    return replace(event, appointment=replace(appointment, patient=patient, others=others))


def _as_told(event: AppointmentEvent, plan: Plan, known: AppointmentEvent | None) -> AppointmentEvent:
    """The event to keep, as basis of later messages: the earlier one as long as pending messages still tell it."""
    if known is None or plan.supersedes:
        return event
    return replace(known, appointment=event.appointment)
