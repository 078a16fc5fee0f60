"""E-mail over SMTP, one connection kept open between messages."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from creneau_notifications.channels.channel import DeliveryError, Reached
from creneau_notifications.channels.email.envelope import UnansweredError, UnaskedError, hand_over
from creneau_notifications.channels.email.refusals import is_message_refused, is_recipient_refused

FINAL_TIMEOUT_S = 120.0
"""RFC 5321 §4.5.3.2.6 asks ten minutes, in which a lane would send nothing else"""
PORTS = {"smtp": 25, "smtps": 465}


class SmtpTransport:
    """An `EmailTransport` for one sender at a time.

    `url`: smtp://user:password@host:port, encrypted by STARTTLS as `tls` says, or smtps:// (encrypted from the first byte).
    With encryption the server is verified, by the system's CAs or those of the file `ca`: no message or password goes to an
    unknown server. Only a refusal of the recipient or the message is permanent (`refusals`). A refused client, login or
    sender is the deployment's fault, and the message is worth another try. `timeout_s`: of each answer; `final_timeout_s`: of
    that to the whole message.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Literal["required", "opportunistic", "off"],
        timeout_s: float,
        final_timeout_s: float = FINAL_TIMEOUT_S,
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
        self._final_timeout_s = final_timeout_s
        self._client: SMTP | None = None

    async def connect(self) -> None:
        await self._connected()

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        client = await self._connected()
        try:
            await hand_over(client, sender, recipient, content, final_timeout_s=self._final_timeout_s)
        except SMTPRecipientRefused as error:
            raise _refused(error, final=is_recipient_refused(error.code, error.message)) from error
        except SMTPDataError as error:
            raise _refused(error, final=is_message_refused(error.code, error.message)) from error
        except SMTPResponseException as error:
            await self.close()
            raise DeliveryError(
                error.message, permanent=False, smtp_code=error.code, reached=Reached.NOBODY
            ) from error
        except UnaskedError as error:
            await self.close()
            raise DeliveryError(str(error), permanent=False, reached=Reached.NOBODY) from error
        except UnansweredError as error:
            # Nobody knows whether the server took the message: it goes again, with the same Message-ID.
            await self.close()
            raise DeliveryError(str(error), permanent=False, reached=Reached.SILENCE) from error
        except (SMTPException, OSError, TimeoutError) as error:
            await self.close()
            raise DeliveryError(_said(error), permanent=False, reached=Reached.REFUSAL) from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _connected(self) -> SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
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
            raise DeliveryError(
                f"{prefix}{_said(error)}", permanent=False, smtp_code=code, reached=Reached.NOBODY
            ) from error
        self._client = client
        return client


async def _greet(client: SMTP) -> None:
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()


def _refused(error: SMTPResponseException, *, final: bool) -> DeliveryError:
    """A lasting refusal that is not final is of whoever hands the message over: its recipient was asked nothing."""
    of_sender = error.code >= 500 and not final
    reached = Reached.NOBODY if of_sender else Reached.REFUSAL
    return DeliveryError(error.message, permanent=final, smtp_code=error.code, reached=reached)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
