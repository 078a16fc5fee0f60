"""The e-mail of a letter, with its calendar file."""

from __future__ import annotations

from binascii import b2a_qp
from dataclasses import replace
from datetime import datetime
from email.encoders import encode_base64
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import format_datetime, formataddr
from uuid import UUID

from creneau_notifications.channels.email.address import email_address
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.greeting import addressed_as
from creneau_notifications.domain.plan import Kind
from creneau_notifications.rendering.calendar import calendar_file, method_of
from creneau_notifications.rendering.letter import Letter, Occasion, compose
from creneau_notifications.rendering.templates import as_html, as_text

CALENDAR_NAME = "rendez-vous.ics"

# The older header classes: assembling with the newer ones takes four times as long (5 ms a message).
_POLICY = compat32.clone(linesep="\r\n")


def build_email(occasion: Occasion, message: UUID, date: datetime, sender: str, sender_name: str) -> bytes:
    """The message as it travels (7-bit, CRLF), for an occasion whose contact has an address.

    `message` is the planned message's id; it makes Message-ID the same at every attempt, so that a repeat
    after a crash can be recognised. `date` is the time of this attempt. Raises InvalidAddressError.
    """
    contact = clean_contact(occasion.contact)
    occasion = replace(occasion, contact=contact)
    letter = compose(occasion)
    if occasion.confirm_url is not None:
        # Nobody has said whose address it is: no calendar and no address book is to keep a name beside it.
        occasion = replace(occasion, contact=replace(contact, name=""))
    mail = _content(letter, occasion, message, sender, sender_name)
    mail["From"] = _mailbox(sender_name, sender)
    mail["To"] = _mailbox(occasion.contact.name, str(contact.email))
    mail["Subject"] = Header(letter.subject, "utf-8", header_name="Subject").encode()
    mail["Date"] = format_datetime(date)
    mail["Message-ID"] = message_id_header(message, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = letter.language
    return mail.as_bytes(policy=_POLICY)


def message_id_header(message: UUID, sender: str) -> str:
    """`<message id@domain of the sender>`."""
    return f"<{message}@{sender.rpartition('@')[2]}>"


def clean_contact(contact: Contact) -> Contact:
    """The contact with a name that may be repeated, or none, and an address in normal form. Raises
    InvalidAddressError."""
    return replace(
        contact, name=addressed_as(contact.name) or "", email=email_address(contact.email or "").value
    )


def _mailbox(name: str, address: str) -> str:
    return formataddr((name, address), "utf-8")


def _content(
    letter: Letter, occasion: Occasion, message: UUID, sender: str, sender_name: str
) -> MIMEMultipart:
    """The calendar comes as an alternative, which calendars take over, and as a file, which people can open.

    A reminder has neither: the appointment is in the calendar already.
    """
    bodies = MIMEMultipart("alternative", boundary=f"=_a_{message}")
    bodies.attach(_text("plain", as_text(letter)))
    bodies.attach(_text("html", as_html(letter)))
    if occasion.kind is Kind.REMINDER:
        return bodies
    calendar = calendar_file(occasion, sender, sender_name)
    method = method_of(occasion.kind)
    attachment = _calendar(calendar, method)
    attachment["Content-Disposition"] = f'attachment; filename="{CALENDAR_NAME}"'
    bodies.attach(_calendar(calendar, method))
    return MIMEMultipart("mixed", f"=_m_{message}", [bodies, attachment])


def _text(subtype: str, content: str) -> MIMEBase:
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part["Content-Transfer-Encoding"] = "quoted-printable"
    part.set_payload(b2a_qp(content.encode()).decode("ascii"))
    return part


def _calendar(content: bytes, method: str) -> MIMEBase:
    part = MIMENonMultipart("text", "calendar", method=method, charset="utf-8", name=CALENDAR_NAME)
    part.set_payload(content)
    encode_base64(part)
    return part
