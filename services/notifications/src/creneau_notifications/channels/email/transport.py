"""The way out of e-mails: to a server, or to the log."""

from __future__ import annotations

from typing import Protocol

import structlog

from creneau_notifications.channels.email.settings import EmailSettings
from creneau_notifications.channels.email.smtp import SmtpTransport

logger = structlog.get_logger(__name__)


class EmailTransport(Protocol):
    """Hands e-mails to a server."""

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        """Return once the server has taken responsibility for the message; raise DeliveryError otherwise."""
        ...

    async def close(self) -> None:
        """Let go of the connection; the next `send` opens another."""
        ...


class LoggedEmails:
    """The adapter of a deployment without mail server: says that there was something to send, not to whom."""

    async def connect(self) -> None:
        """Nothing to connect to."""

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        logger.info("email logged, not sent: no SMTP server is configured", bytes=len(content))

    async def close(self) -> None:
        """Nothing to let go of."""


def create_transport(settings: EmailSettings) -> SmtpTransport | LoggedEmails:
    """SMTP where a server is named, else the adapter that only logs."""
    if not settings.smtp_url:
        return LoggedEmails()
    return SmtpTransport(
        settings.smtp_url,
        tls=settings.smtp_tls,
        ca=settings.smtp_ca,
        timeout_s=settings.smtp_timeout_s,
        final_timeout_s=settings.smtp_final_timeout_s,
    )
