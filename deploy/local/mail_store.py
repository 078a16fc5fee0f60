"""Messages kept in a Maildir, and what is shown of them."""

from __future__ import annotations

import email
import email.policy
import mailbox
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path

_NUMBERS = count()
LOOPBACK_NAME = "localhost"
ENVELOPE_FROM, ENVELOPE_TO = "X-Envelope-From", "X-Envelope-To"


@dataclass(frozen=True)
class Attachment:
    """A part of a message that is a file (a calendar event, say)."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Message:
    """One message as the mailbox shows it; `date` is ISO 8601."""

    key: str
    sender: str
    to: str
    subject: str
    message_id: str
    date: str
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    source: bytes


class MailStore:
    """A Maildir at `path`, made on first use. Mail clients can read it as well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        mailbox.Maildir(path, create=True)

    @property
    def _box(self) -> mailbox.Maildir:
        # A new one each time: it keeps a table of contents, and several threads read and add.
        return mailbox.Maildir(self._path, create=True)

    def add(self, content: bytes, sender: str | None, recipients: list[str]) -> str:
        """Keep a message as it came, its envelope in two headers; returns its key."""
        envelope = f"{ENVELOPE_FROM}: {sender or '<>'}\r\n{ENVELOPE_TO}: {', '.join(recipients)}\r\n"
        key = _new_key()
        written = self._path / "tmp" / key
        written.write_bytes(envelope.encode() + content)
        # Lost if the machine crashes: waiting for the disk at each message takes as long as all the rest.
        written.rename(self._path / "new" / key)
        return key

    def newest_first(self, recipient: str | None = None) -> Iterator[Message]:
        """All messages, or those to one address."""
        for key in sorted(self._box.keys(), reverse=True, key=_arrival):
            message = self.get(key)
            if message is not None and (recipient is None or recipient.lower() in message.to.lower()):
                yield message

    def get(self, key: str) -> Message | None:
        """One message, or None when there is none of this key."""
        try:
            source = self._box.get_bytes(key)
        except KeyError:
            return None
        return _read(key, source)


def _new_key() -> str:
    """Seconds, microseconds, process, number in the process: unique on this machine."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_NUMBERS)}.{LOOPBACK_NAME}"


def _arrival(key: str) -> tuple[float, str]:
    """Maildir keys begin with the arrival in seconds, then the microseconds as M<number>."""
    seconds, _, rest = key.partition(".")
    micro = rest.partition("P")[0].lstrip("M")
    return float(f"{seconds}.{int(micro):06d}") if micro.isdigit() else float(seconds), key


def _read(key: str, source: bytes) -> Message:
    parsed = email.message_from_bytes(source, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    date = parsed["Date"]
    return Message(
        key=key,
        sender=str(parsed["From"] or parsed[ENVELOPE_FROM]),
        to=str(parsed[ENVELOPE_TO] or parsed["To"]),
        subject=str(parsed["Subject"] or ""),
        message_id=str(parsed["Message-ID"] or ""),
        date=parsedate_to_datetime(str(date)).isoformat() if date else "",
        text=_body(parsed, "plain"),
        html=_body(parsed, "html"),
        attachments=tuple(_attachments(parsed)),
        source=source,
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""


def _attachments(message: EmailMessage) -> Iterator[Attachment]:
    """Every leaf that is no body: attachments, and calendar parts that are alternatives of the text."""
    for part in message.walk():
        if part.is_multipart() or (
            part.get_content_type() in ("text/plain", "text/html") and not part.get_filename()
        ):
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            filename = part.get_filename() or f"part.{part.get_content_subtype()}"
            yield Attachment(filename, part.get_content_type(), content)
