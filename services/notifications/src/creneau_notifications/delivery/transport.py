"""The ways out, each a small protocol with a real and a logging adapter."""

from __future__ import annotations

from typing import Protocol

import structlog

logger = structlog.get_logger(__name__)


class DeliveryError(Exception):
    """A message was not accepted. `permanent`: trying again would not help."""

    def __init__(self, text: str, *, permanent: bool, smtp_code: int | None = None) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.smtp_code = smtp_code


class EmailTransport(Protocol):
    """Hands e-mails to a server."""

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        """Return once the server has taken responsibility for the message; raise DeliveryError otherwise."""
        ...

    async def close(self) -> None:
        """Let go of the connection; the next `send` opens another."""
        ...


class SmsTransport(Protocol):
    """Hands text messages to a provider."""

    async def send(self, number: str, text: str) -> None:
        """Return once the provider has taken the message; raise DeliveryError otherwise."""
        ...


class LoggedEmails:
    """The adapter of a deployment without mail server: says that there was something to send, not to whom."""

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        logger.info("email logged, not sent: no SMTP server is configured", bytes=len(content))

    async def close(self) -> None:
        """Nothing to let go of."""


class LoggedSms:
    """The adapter of a deployment without SMS provider."""

    async def send(self, number: str, text: str) -> None:
        logger.info("text message logged, not sent: no provider is configured", characters=len(text))
