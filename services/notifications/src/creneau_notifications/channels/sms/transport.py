"""The way out of text messages."""

from __future__ import annotations

from typing import Protocol

import structlog

logger = structlog.get_logger(__name__)


class SmsTransport(Protocol):
    """Hands text messages to a provider."""

    async def send(self, number: str, text: str) -> None:
        """Return once the provider has taken the message; raise DeliveryError otherwise."""
        ...


class LoggedSms:
    """The adapter of a deployment without SMS provider."""

    async def send(self, number: str, text: str) -> None:
        logger.info("text message logged, not sent: no provider is configured", characters=len(text))
