"""The e-mail of a letter, with its calendar file."""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass, replace
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from uuid import UUID

from creneau_notifications.channels.email.address import email_address
from creneau_notifications.channels.email.frame import POLICY, filled, frame, mailbox
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.greeting import addressed_as
from creneau_notifications.rendering.calendar import calendar_file, method_of
from creneau_notifications.rendering.letter import Occasion, compose
from creneau_notifications.rendering.templates import as_html, as_text

LINE_CHARS = 76
"""longest header line without folding (RFC 2047 §2 for one with an encoded word)"""
PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
"""visible ASCII, words with a blank between them"""


@dataclass(frozen=True, slots=True)
class Email:
    """A message as it travels (7-bit, CRLF), and its subject line as people read it."""

    subject: str
    content: bytes


def build_email(occasion: Occasion, message: UUID, date: datetime, sender: str, sender_name: str) -> Email:
    """The e-mail for an occasion whose contact has an address.

    `message` is the planned message's id; it makes Message-ID the same at every attempt, so that a repeat after a crash can
    be recognised. `date` is the time of this attempt. Raises InvalidAddressError.

    The calendar comes as an alternative, which calendars take over, and as a file, which people can open. A reminder has
    neither: its appointment is in the calendar already. Nor has an offer or a request: no appointment yet.
    """
    contact = clean_contact(occasion.contact)
    occasion = replace(occasion, contact=contact)
    letter = compose(occasion)
    if occasion.confirm_url is not None:
        # Unconfirmed address: no calendar and no address book may store a name with it.
        occasion = replace(occasion, contact=replace(contact, name=""))
    with_calendar = occasion.has_calendar
    method = method_of(occasion) if with_calendar else None
    values = {
        "message": str(message).encode(),
        "to": header("To", mailbox(occasion.contact.name, str(contact.email))),
        "subject": _subject(letter.subject),
        "date": _date(date.replace(microsecond=0)),
        "text": _quoted(as_text(letter)),
        "html": _quoted(as_html(letter)),
        "calendar": _base64(calendar_file(occasion, sender, sender_name)) if with_calendar else b"",
    }
    return Email(letter.subject, filled(frame(sender, sender_name, method, letter.language), values))


def clean_contact(contact: Contact) -> Contact:
    """The contact with a name that may be repeated, or none, and an address in normal form. Raises
    InvalidAddressError."""
    return replace(
        contact, name=addressed_as(contact.name) or "", email=email_address(contact.email or "").value
    )


@lru_cache(maxsize=4096)
def _subject(subject: str) -> bytes:
    """The header, cached: many messages name the same hour."""
    return header("Subject", Header(subject, "utf-8", header_name="Subject").encode())


@lru_cache(maxsize=16)
def _date(second: datetime) -> bytes:
    """The header, cached: many messages leave each second."""
    return header("Date", format_datetime(second))


def header(name: str, value: str) -> bytes:
    """The header with its line breaks; one that needs none is written as it is, in a twentieth of the time."""
    line = f"{name}: {value}"
    if len(line) <= LINE_CHARS and PLAIN.fullmatch(value):
        return f"{line}\r\n".encode("ascii")
    return POLICY.fold_binary(name, value)


def _quoted(text: str) -> bytes:
    return b2a_qp(text.encode()).replace(b"\n", b"\r\n")


def _base64(content: bytes) -> bytes:
    return encodebytes(content).replace(b"\n", b"\r\n")
