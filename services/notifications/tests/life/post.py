"""The mail server and the provider of text messages of the town: they take what comes, refuse it, or hang up."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import UUID

from icalendar import Calendar, Component
from services.notifications.tests.conftest import ADDRESS_KEY
from services.notifications.tests.factories import SITE
from services.notifications.tests.life.facts import Departure

from creneau_notifications.channels.channel import DeliveryError, Sent
from creneau_notifications.channels.sms.channel import SmsCarrier
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.storage.addresses import Keyring

OUTCOMES = ("accept", "later", "never", "hang up")
_VISIT = re.compile(rf"{re.escape(SITE)}/rdv/([A-Za-z0-9_-]+)")
_CONFIRM = re.compile(rf"{re.escape(SITE)}/confirmer/([A-Za-z0-9_-]+)")


@dataclass
class Post:
    """What has come so far; `outcomes`: of what comes next. Each message has its own of these, in whatever order they come:
    messages due at the same time leave in any. Without any, all is taken."""

    came: list[Departure] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    held: asyncio.Event | None = None
    """until it is set, nothing is answered"""
    confirmations: dict[str, tuple[str, UUID]] = field(default_factory=dict)
    """tokens by which an address is confirmed or refused: of which, and of which message"""
    links: dict[str, UUID] = field(default_factory=dict)
    """tokens of links to visits, and of which message"""

    async def take(self, departure: Departure) -> None:
        own = departure.message.int % len(self.outcomes) if self.outcomes else None
        outcome = "accept" if own is None else self.outcomes[own]
        self.came.append(
            Departure(
                departure.message,
                departure.channel,
                departure.address,
                departure.said,
                departure.times,
                departure.sequences,
                outcome,
            )
        )
        if self.held is not None:
            await self.held.wait()
        if outcome != "accept":
            raise DeliveryError(outcome, permanent=outcome == "never")

    def note_links(self, text: str, address: str, message: UUID) -> None:
        """What the reader of the message can open."""
        for token in _VISIT.findall(text):
            read = Keyring(ADDRESS_KEY).read_visit_token(token)
            assert read is not None, f"no token of a visit: {token}"
            assert message == read[0], "a link of another message"
            self.links[token] = message
        self.confirmations |= dict.fromkeys(_CONFIRM.findall(text), (address, message))


@dataclass
class Mails:
    """An `EmailTransport` to it."""

    post: Post

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        message = UUID(str(mail["Message-ID"]).strip("<>").partition("@")[0])
        body = mail.get_body(("plain",))
        assert body is not None
        self.post.note_links(str(body.get_content()), recipient, message)
        subject = str(mail["Subject"])
        visits = {str(one["UID"]).removesuffix("@creneau"): one for one in _entries(mail)}
        times = {id_: one.decoded("DTSTART") for id_, one in visits.items()}
        sequences = {id_: int(str(one["SEQUENCE"])) for id_, one in visits.items()}
        await self.post.take(Departure(message, "email", recipient, subject, times, sequences))

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Texts:
    """An `SmsTransport` to it, of one message."""

    post: Post
    message: UUID

    async def send(self, number: str, text: str) -> None:
        self.post.note_links(text, number, self.message)
        await self.post.take(Departure(self.message, "sms", number, text))


@dataclass
class TextCarrier:
    """The carrier of text messages, of which not each has a link that says which message it is."""

    post: Post

    async def send(self, occasion: Occasion, message: UUID, date: datetime) -> Sent:
        return await SmsCarrier(Texts(self.post, message)).send(occasion, message, date)

    def message_id(self, message: UUID) -> None:
        return None

    async def close(self) -> None:
        """Nothing is held open."""


def _entries(mail: EmailMessage) -> list[Component]:
    """The visits of the calendar file."""
    files = [part.get_content() for part in mail.walk() if part.get_content_type() == "text/calendar"]
    return Calendar.from_ical(files[0]).walk("VEVENT") if files else []
