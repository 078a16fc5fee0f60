"""The consumers: one for each topic, so that each replica can be rebuilt without touching the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from creneau_notifications.domain.appointment import Change
from creneau_notifications.handlers import Notifications
from creneau_notifications.messaging.readers import (
    read_account,
    read_appointment,
    read_contact,
    read_erasure,
    read_fact,
)
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.effects import Together
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.rebuild import Replica

GROUP = "creneau-notifications"
APPOINTMENTS = "creneau.booking.appointments"
CONTACTS = "creneau.booking.contacts"
ACCOUNTS = "creneau.booking.accounts"
RESOURCES = "creneau.directory.resources"
APPOINTMENT_TYPES = tuple(f"fr.creneau.booking.appointment.{change}.v1" for change in Change)
CONTACT_TYPE = "fr.creneau.booking.contact.changed.v1"
ACCOUNT_TYPE = "fr.creneau.booking.account.changed.v1"
ERASED_TYPE = "fr.creneau.booking.patient.erased.v1"
RESOURCE_TYPE = "fr.creneau.directory.resource.changed.v1"


REACHED = """
SELECT reference FROM recipient
WHERE reference NOT IN (SELECT recipient FROM departure WHERE done_at IS NULL)"""
"""the known recipients, except those who leave and are still told of cancelled visits"""


class Listener:
    """The handlers of the event types, each in the consumer's transaction."""

    def __init__(self, notifications: Notifications, forget_within: timedelta) -> None:
        self._notifications = notifications
        self._forget_within = forget_within

    async def appointments(self, connection: Connection, events: Sequence[ReceivedEvent]) -> None:
        read = [
            read_appointment(str(event.id), event.type, event.time, event.data)
            for event in events
            if event.data is not None
        ]
        await self._notifications.appointments_changed(connection, read)

    async def contact(self, connection: Connection, event: ReceivedEvent) -> None:
        if event.data is None:
            await self._notifications.contact_deleted(connection, event.key, event.time)
        else:
            await self._notifications.contact_changed(connection, read_contact(event.data), event.time)

    async def account(self, connection: Connection, event: ReceivedEvent) -> None:
        people = read_account(event.data) if event.data is not None else []
        await self._notifications.account_changed(connection, event.key, people, event.time)

    async def erasure(self, connection: Connection, event: ReceivedEvent) -> None:
        """A tombstone only says that the person was erased. It follows the event, or replaces it after compaction."""
        forget_by, awaited = event.time + self._forget_within, None
        if event.data is not None:
            forget_by, awaited = read_erasure(event.data)
        await self._notifications.person_erased(connection, event.key, event.time, forget_by, awaited)

    async def resource(self, connection: Connection, event: ReceivedEvent) -> None:
        if event.data is None:
            await self._notifications.fact_deleted(connection, event.key, event.time)
        else:
            fact, last_updated = read_fact(event.data, event.time)
            await self._notifications.fact_changed(connection, fact, last_updated, event.time)


def consumers(
    notifications: Notifications, database: Database, settings: NotificationsSettings, clock: Clock
) -> list[Consumer]:
    """The service's consumers, ready to run."""
    listener = Listener(notifications, timedelta(hours=settings.erasure_forget_within_h))
    return [
        Consumer(
            name=f"notifications-{purpose}",
            group=f"{GROUP}-{purpose}",
            topics=[topic],
            handlers=handlers,
            database=database,
            settings=settings,
            clock=clock,
            personal=(CONTACTS,),
            replica=replica,
        )
        for purpose, topic, handlers, replica in (
            (
                "appointments",
                APPOINTMENTS,
                dict.fromkeys(APPOINTMENT_TYPES, Together(listener.appointments)),
                None,
            ),
            (
                "contacts",
                CONTACTS,
                {CONTACT_TYPE: listener.contact, ERASED_TYPE: listener.erasure},
                Replica(REACHED, notifications.contact_missing),
            ),
            (
                "accounts",
                ACCOUNTS,
                {ACCOUNT_TYPE: listener.account},
                Replica("SELECT DISTINCT account FROM account_person", notifications.account_missing),
            ),
            (
                "resources",
                RESOURCES,
                {RESOURCE_TYPE: listener.resource},
                Replica(
                    "SELECT reference FROM directory_fact WHERE gone_at IS NULL", notifications.fact_missing
                ),
            ),
        )
    ]
