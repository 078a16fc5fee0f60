"""E-mail over SMTP, one connection kept open between messages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
)

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.email.dialogue import Dialogue, Refusal

PORTS = {"smtp": 25, "smtps": 465}


class SmtpTransport:
    """An `EmailTransport` for one sender at a time.

    `url`: smtp://user:password@host:port, encrypted by STARTTLS as `tls` says, or smtps:// (encrypted from the first
    byte). Who encrypts verifies the server, by the system's CAs or those of the file `ca`: neither a message nor a
    password goes to whoever happens to answer. Only what the server says of the recipient or of the content is permanent (5xx to
    RCPT or DATA); a refused login or sender is ours to mend, and the message is worth another try.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Literal["required", "opportunistic", "off"],
        timeout_s: float,
        ca: Path | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("SMTP_URL must be smtp://[user:password@]host[:port] or smtps://…")
        self._encrypted = parts.scheme == "smtps"
        self._start_tls = None if tls == "opportunistic" else tls == "required"
        self._ca = str(ca) if ca else None
        self._host = parts.hostname
        self._port = parts.port or PORTS[parts.scheme]
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._timeout_s = timeout_s
        self._dialogue: Dialogue | None = None

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        dialogue = await self._connected()
        try:
            await dialogue.hand_over(sender, recipient, content)
        except Refusal as error:
            if error.what == "sender":
                await self.close()
            permanent = error.what != "sender" and 500 <= error.reply.code < 600
            raise DeliveryError(
                error.reply.text, permanent=permanent, smtp_code=error.reply.code or None
            ) from error
        except (OSError, TimeoutError) as error:
            # Nobody knows whether the server took the message: it goes again, with the same Message-ID.
            await self.close()
            raise DeliveryError(_said(error), permanent=False) from error
        except BaseException:
            await self.close()  # in the middle of something: whoever is next begins anew
            raise

    async def close(self) -> None:
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is not None:
            dialogue.close()

    async def _connected(self) -> Dialogue:
        if self._dialogue is not None and self._dialogue.is_ready:
            return self._dialogue
        client = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            timeout=self._timeout_s,
            use_tls=self._encrypted,
            start_tls=False if self._encrypted else self._start_tls,
            cert_bundle=self._ca,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
        except (SMTPException, OSError, TimeoutError) as error:
            client.close()
            code = error.code if isinstance(error, SMTPResponseException) else None
            prefix = "" if isinstance(error, SMTPConnectError) else "connecting: "
            raise DeliveryError(f"{prefix}{_said(error)}", permanent=False, smtp_code=code) from error
        if client.transport is None:
            raise DeliveryError("connecting: Connection lost", permanent=False)
        # The library opens connections; it says one word a packet, and looks at each octet of a message twice.
        extensions = frozenset(name.lower() for name in client.esmtp_extensions)
        self._dialogue = Dialogue(cast(asyncio.Transport, client.transport), extensions, self._timeout_s)
        return self._dialogue


async def _greet(client: SMTP) -> None:
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
