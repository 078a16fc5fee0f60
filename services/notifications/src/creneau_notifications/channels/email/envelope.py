"""One message over an open SMTP connection (RFC 5321 §3.3), command by command.

The library's `sendmail` takes any message and address. It reads each address twice and scans all line ends twice: a tenth of
the cost of an e-mail here. Messages here are ready to travel; others are refused.
"""

from __future__ import annotations

import re
from contextlib import suppress

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPStatus,
)

_ADDRESS = re.compile(r"[!#-;=?-~]+@[!#-;=?-~]+")
"""visible ASCII without what would end the address on a command line"""
_TAKEN = (SMTPStatus.completed, SMTPStatus.will_forward)


class UnansweredError(SMTPException):
    """All of a message was handed over, and the server did not say whether it has taken it."""


async def hand_over(
    client: SMTP, sender: str, recipient: str, content: bytes, *, final_timeout_s: float
) -> None:
    """Return once the server has taken responsibility for `content` (7-bit lines that end by CRLF). `final_timeout_s`: longest
    wait for its answer to the whole message.

    Raises the library's errors (SMTPRecipientRefused and SMTPDataError concern this message; before UnansweredError the
    server cannot have taken it), and ValueError for an address or lines that cannot be sent unchanged.
    """
    text = as_it_travels(content)
    paths = _path(sender), _path(recipient)
    size = [b"SIZE=%d" % len(content)] if client.supports_extension("size") else []
    try:
        answer = await client.execute_command(b"MAIL", b"FROM:" + paths[0], *size)
        if answer.code != SMTPStatus.completed:
            raise SMTPSenderRefused(answer.code, answer.message, sender)
        answer = await client.execute_command(b"RCPT", b"TO:" + paths[1])
        if answer.code not in _TAKEN:
            raise SMTPRecipientRefused(answer.code, answer.message, recipient)
        answer = await client.execute_command(b"DATA")
        if answer.code != SMTPStatus.start_input:
            raise SMTPDataError(answer.code, answer.message)
        answer = await _written(client, text, final_timeout_s)
        if answer.code != SMTPStatus.completed:
            raise SMTPDataError(answer.code, answer.message)
    except SMTPResponseException:
        with suppress(SMTPException, OSError):
            await client.rset()
        raise


def as_it_travels(content: bytes) -> bytes:
    """The content with dots at line starts doubled, and the final dot (§4.5.2). ValueError if a line ends other than by
    CRLF: a server that takes it for the end would read a command after it."""
    ends = content.count(b"\r\n")
    if content.count(b"\r") != ends or content.count(b"\n") != ends:
        raise ValueError("the lines of a message end by CRLF")
    first = b"." if content.startswith(b".") else b""
    last = b"" if content.endswith(b"\r\n") else b"\r\n"
    return first + content.replace(b"\r\n.", b"\r\n..") + last + b".\r\n"


async def _written(client: SMTP, text: bytes, timeout_s: float) -> SMTPResponse:
    """The answer to the message. A server may deliver it, or check it, before it answers (RFC 5321 §4.5.3.2.6)."""
    if client.protocol is None:
        raise SMTPServerDisconnected("Connection lost")
    try:
        client.protocol.write(text)
        return await client.protocol.read_response(timeout=timeout_s)
    except (SMTPException, OSError) as error:
        raise UnansweredError(f"{type(error).__name__}: {error}") from error


def _path(address: str) -> bytes:
    if not _ADDRESS.fullmatch(address):
        raise ValueError("an address that cannot stand in a command")
    return f"<{address}>".encode("ascii")
