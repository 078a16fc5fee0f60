"""Notes by e-mail, each over a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import Literal
from uuid import UUID

from creneau_notifications.channels.email.address import NAME, email_address
from creneau_notifications.channels.email.frame import POLICY, mailbox, message_id_header
from creneau_notifications.channels.email.settings import EmailSettings
from creneau_notifications.channels.email.transport import create_transport
from creneau_notifications.channels.notes import HandOver, Note
from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_shared.errors import Unprocessable
from creneau_shared.ids import new_uuid


def note_email(note: Note, to: str, sender: str, sender_name: str, message: UUID, at: datetime) -> bytes:
    """The e-mail, as it travels."""
    mail = MIMEText("\n".join((*note.lines, "")), "plain", "utf-8", policy=POLICY)
    mail["From"] = mailbox(sender_name, sender)
    mail["To"] = to
    mail["Subject"] = note.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id_header(message, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = note.language
    return mail.as_bytes(policy=POLICY)


class EmailNotes:
    """A `NoteWay`."""

    name = NAME
    systems = frozenset({"email"})
    kind: Literal["email"] = "email"

    def address(self, given: str) -> Address:
        try:
            return email_address(given)
        except InvalidAddressError:
            raise Unprocessable(
                "Cette adresse électronique n'en est pas une : corrigez-la, par exemple camille@exemple.fr.",
                "This is no e-mail address: correct it, for example camille@example.org.",
                details_code="no-email-address",
            ) from None

    def not_offered(self) -> Unprocessable:
        return Unprocessable(
            "Aucun courriel n'est envoyé ici : téléphonez au cabinet.",
            "No e-mails are sent from here: telephone the practice.",
            details_code="no-codes-by-email",
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[HandOver]:
        settings = EmailSettings()
        transport = create_transport(settings)

        async def hand_over(address: Address, note: Note) -> None:
            sender, now = settings.mail_from, datetime.now(UTC)
            content = note_email(note, address.value, sender, settings.mail_from_name, new_uuid(), now)
            await transport.send(sender, address.value, content)

        try:
            await transport.connect()
            yield hand_over
        finally:
            await transport.close()
