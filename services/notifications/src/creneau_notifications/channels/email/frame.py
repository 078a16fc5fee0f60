"""What all e-mails of one sender have in common: headers, parts and the lines between them, put together once."""

from __future__ import annotations

from collections.abc import Mapping
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import formataddr
from functools import lru_cache
from uuid import UUID

CALENDAR_NAME = "rendez-vous.ics"
BASE64, QUOTED = "base64", "quoted-printable"
POLICY = compat32.clone(linesep="\r\n")

_ANY = UUID(int=0)
"""Placeholder of the same length as a message id: lines break alike."""
_MARK = "@@6f0d3f0e@@"
_HEADERS = ("To", "Subject", "Date")

Frame = tuple[tuple[bytes, str], ...]
"""Pieces that all messages share, each with the name of the value after it; the last has none."""


@lru_cache(maxsize=64)
def frame(sender: str, sender_name: str, method: str | None, language: str) -> Frame:
    """The frame of e-mails with a calendar file of this iTIP method (None: without one).

    It takes `message` (the id), `to`, `subject` and `date` (whole headers), `text`, `html` and `calendar` (encoded).
    """
    mail = _parts(method)
    mail["From"] = mailbox(sender_name, sender)
    for name in _HEADERS:
        mail[name] = _mark(name.lower())
    mail["Message-ID"] = message_id_header(_ANY, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = language
    content = mail.as_bytes(policy=POLICY)
    for name in _HEADERS:
        mark = _mark(name.lower()).encode()
        content = content.replace(f"{name}: ".encode() + mark + b"\r\n", mark)
    content = content.replace(str(_ANY).encode(), _mark("message").encode())
    pieces = content.split(_MARK.encode())
    names = [name.decode() for name in pieces[1::2]]
    return tuple(zip(pieces[::2], [*names, ""], strict=True))


def filled(frame: Frame, values: Mapping[str, bytes]) -> bytes:
    """The frame with its values."""
    return b"".join(part for before, name in frame for part in (before, values[name] if name else b""))


def message_id_header(message: UUID, sender: str) -> str:
    """`<message id@domain of the sender>`."""
    return f"<{message}@{sender.rpartition('@')[2]}>"


def mailbox(name: str, address: str) -> str:
    """Somebody's name and address, as headers have them."""
    return formataddr((name, address), "utf-8")


def _mark(name: str) -> str:
    return f"{_MARK}{name}{_MARK}"


def _parts(method: str | None) -> MIMEMultipart:
    bodies = MIMEMultipart("alternative", boundary=f"=_a_{_ANY}")
    bodies.attach(_part("text", QUOTED, "plain", charset="utf-8"))
    bodies.attach(_part("html", QUOTED, "html", charset="utf-8"))
    if method is None:
        return bodies
    attachment = _calendar(method)
    attachment["Content-Disposition"] = f'attachment; filename="{CALENDAR_NAME}"'
    bodies.attach(_calendar(method))
    return MIMEMultipart("mixed", f"=_m_{_ANY}", [bodies, attachment])


def _calendar(method: str) -> MIMEBase:
    return _part("calendar", BASE64, "calendar", method=method, charset="utf-8", name=CALENDAR_NAME)


def _part(value: str, encoding: str, subtype: str, **parameters: str) -> MIMEBase:
    part = MIMENonMultipart("text", subtype, policy=None, **parameters)
    part["Content-Transfer-Encoding"] = encoding
    part.set_payload(_mark(value))
    return part
