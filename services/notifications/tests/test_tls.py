"""Messages and passwords go encrypted, to the server that was meant, unless the operator says otherwise."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from deploy.gateway.certificates import self_signed

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.email.settings import EmailSettings
from creneau_notifications.channels.email.smtp import SmtpTransport
from creneau_notifications.channels.email.transport import create_transport

from .conftest import SENDER
from .mailbox import Mailbox, open_mailbox

CONTENT = b"Subject: x\r\n\r\nx"


@pytest.fixture
async def encrypting(tmp_path: Path) -> AsyncIterator[Mailbox]:
    """A mail server that offers STARTTLS, with a certificate of its own making (`certificate.pem`)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(tmp_path))
    async with open_mailbox(tls=context) as mailbox:
        yield mailbox


async def test_a_trusted_server_gets_the_message_encrypted(encrypting, tmp_path):
    transport = SmtpTransport(encrypting.url, tls="required", ca=tmp_path / "certificate.pem", timeout_s=30)
    await transport.send(SENDER, "camille@example.org", CONTENT)
    await transport.close()
    assert encrypting.encrypted == [True]


@pytest.mark.parametrize("tls", ["required", "opportunistic"])
async def test_a_server_that_nobody_vouches_for_gets_nothing(encrypting, tls):
    transport = SmtpTransport(encrypting.url, tls=tls, timeout_s=30)
    with pytest.raises(DeliveryError) as raised:
        await transport.send(SENDER, "camille@example.org", CONTENT)
    assert not raised.value.permanent
    assert encrypting.mails == []


async def test_without_a_word_of_the_operator_nothing_goes_in_the_clear(mailbox):
    settings = EmailSettings(smtp_url=mailbox.url)
    with pytest.raises(DeliveryError):
        await create_transport(settings).send(SENDER, "camille@example.org", CONTENT)
    assert mailbox.mails == []


@pytest.mark.parametrize("tls", ["opportunistic", "off"])
async def test_the_operator_may_let_it(mailbox, tls):
    settings = EmailSettings(smtp_url=mailbox.url, smtp_tls=tls)
    transport = create_transport(settings)
    await transport.send(SENDER, "camille@example.org", CONTENT)
    await transport.close()
    assert mailbox.encrypted == [False]
