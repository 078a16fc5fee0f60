"""E-mail as a channel: it tells of what happens to an appointment at once, and reminds days before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from creneau_notifications.channels.channel import PARTICIPATION_MODE, Carrier, Sent
from creneau_notifications.channels.email.address import NAME, email_address
from creneau_notifications.channels.email.frame import message_id_header
from creneau_notifications.channels.email.render import build_email
from creneau_notifications.channels.email.settings import EmailSettings
from creneau_notifications.channels.email.transport import EmailTransport, create_transport
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.rules import ChannelRules, ReminderRule
from creneau_notifications.rendering.letter import Occasion


@dataclass(frozen=True, slots=True)
class EmailCarrier:
    """Sends e-mails in the name of `sender`."""

    transport: EmailTransport
    sender: str
    sender_name: str

    async def send(self, occasion: Occasion, message: UUID, date: datetime) -> Sent:
        address = str(occasion.contact.email)
        email = build_email(occasion, message, date, self.sender, self.sender_name)
        await self.transport.send(self.sender, address, email.content)
        return Sent(address, email.subject)

    def message_id(self, message: UUID) -> str:
        return message_id_header(message, self.sender)

    async def close(self) -> None:
        await self.transport.close()


class EmailChannel:
    """Always on offer. Planned for everybody, since the address may arrive after the appointment."""

    name = NAME
    medium: ClassVar = {"system": PARTICIPATION_MODE, "code": "EMAILWRIT", "display": "email"}
    rules = ChannelRules(
        notices=True,
        reminders=(
            ReminderRule("7-days", booked_ahead_min=timedelta(days=10), days=7),
            ReminderRule("2-days", booked_ahead_min=timedelta(days=3), days=2),
        ),
    )

    def is_offered(self) -> bool:
        return True

    def is_planned_for(self, contact: Contact | None) -> bool:
        return True

    def given(self, contact: Contact) -> str | None:
        return contact.email

    def is_vouched(self, contact: Contact) -> bool:
        return contact.email_vouched

    def address(self, given: str) -> Address:
        return email_address(given)

    def reached_at(self, contact: Contact, address: Address) -> Contact:
        return contact if contact.email == address.value else replace(contact, email=address.value)

    def open(self, within: timedelta) -> Carrier:
        settings = EmailSettings()
        settings.check_one_sending_ends(within)
        return EmailCarrier(create_transport(settings), settings.mail_from, settings.mail_from_name)
