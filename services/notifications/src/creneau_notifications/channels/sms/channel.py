"""Text messages as a channel. With a suitable number, people get a reminder hours before, and what waits for an answer; with
no other address, also what happens to a visit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from creneau_notifications.channels.channel import PARTICIPATION_MODE, Carrier, Sent
from creneau_notifications.channels.sms.address import NAME, gets_no_texts, sms_address
from creneau_notifications.channels.sms.render import build_sms
from creneau_notifications.channels.sms.settings import SmsSettings
from creneau_notifications.channels.sms.transport import LoggedSms, SmsTransport
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.rules import ChannelRules, ReminderRule
from creneau_notifications.rendering.letter import Occasion


@dataclass(frozen=True, slots=True)
class SmsCarrier:
    """Sends text messages."""

    transport: SmsTransport

    async def send(self, occasion: Occasion, message: UUID, date: datetime) -> Sent:
        number = str(occasion.contact.phone)
        await self.transport.send(number, build_sms(occasion))
        return Sent(number)

    def message_id(self, message: UUID) -> None:
        return None

    async def close(self) -> None:
        """Nothing is held open."""


class SmsChannel:
    """On offer where the settings say so. Planned once a telephone number is known that is no landline, of a country to which
    text messages are sent.

    An invalid number is planned for too, so that the failure is seen, with its reason.
    """

    name = NAME
    medium: ClassVar = {"system": PARTICIPATION_MODE, "code": "SMSWRIT", "display": "SMS message"}
    rules = ChannelRules(
        notices=False,
        reminders=(ReminderRule("2-hours", booked_ahead_min=timedelta(hours=6), hours=2),),
        offers=True,
        stands_in=True,
        wakes=True,
    )

    def is_offered(self) -> bool:
        return SmsSettings().sms_sender != "off"

    def is_planned_for(self, contact: Contact | None) -> bool:
        return contact is not None and contact.phone is not None and not gets_no_texts(contact.phone)

    def given(self, contact: Contact) -> str | None:
        return contact.phone

    def is_vouched(self, contact: Contact) -> bool:
        return contact.phone_vouched

    def address(self, given: str) -> Address:
        return sms_address(given)

    def reached_at(self, contact: Contact, address: Address) -> Contact:
        return contact if contact.phone == address.value else replace(contact, phone=address.value)

    def open(self, within: timedelta) -> Carrier:
        return SmsCarrier(LoggedSms())
