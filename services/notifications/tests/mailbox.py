"""A mail server for tests that keeps what it is given and fails as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP


class Mailbox:
    """Accepts mail; `faults` are used up one a message: what to answer to MAIL, RCPT or DATA, or `drop`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.faults: list[str] = []
        self.connections = 0
        self.encrypted: list[bool] = []
        """of each mail, whether it came encrypted"""
        self.port = 0
        self.silent: asyncio.Event | None = None
        """until it is set, nothing is answered to a message"""
        self.waiting = 0
        """messages that have come meanwhile"""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_EHLO(
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.faults and self.faults[0].startswith("MAIL "):
            return self.faults.pop(0).removeprefix("MAIL ")
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.faults and self.faults[0].startswith("RCPT "):
            return self.faults.pop(0).removeprefix("RCPT ")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        if self.silent is not None:
            self.waiting += 1
            await self.silent.wait()
        fault = self.faults.pop(0) if self.faults else ""
        if fault.startswith("DATA "):
            return fault.removeprefix("DATA ")
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.encrypted.append(session.ssl is not None)
        if fault == "drop":
            server.transport.abort()
        return "250 accepted"


@asynccontextmanager
async def open_mailbox(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Mailbox]:
    """A mailbox that listens on `port` of this machine, or on a free one; with `tls` it offers STARTTLS."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail.test", tls_context=tls), "127.0.0.1", port
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
