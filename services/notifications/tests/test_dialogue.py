"""What is said to a mail server, word by word, with and without PIPELINING."""

from __future__ import annotations

import asyncio

import pytest

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.email.dialogue import travelling
from creneau_notifications.channels.email.smtp import SmtpTransport

from .conftest import SENDER
from .mailbox import open_mailbox

CONTENT = b"Subject: x\r\n\r\n.\r\n..two\r\nthe end\r\n"
CAMILLE = "camille@example.org"


@pytest.fixture(params=[True, False], ids=["pipelining", "one by one"])
async def mailbox(request):
    async with open_mailbox(pipelining=request.param) as opened:
        yield opened


@pytest.fixture
async def transport(mailbox):
    opened = SmtpTransport(mailbox.url, tls="off", timeout_s=5)
    yield opened
    await opened.close()


async def test_messages_follow_each_other_on_one_connection_as_they_are(mailbox, transport):
    """Points that begin lines are neither lost nor the end of the message."""
    for _ in range(3):
        await transport.send(SENDER, CAMILLE, CONTENT)
    assert [mail.get_payload() for mail in mailbox.mails] == [".\r\n..two\r\nthe end\r\n"] * 3
    assert mailbox.connections == 1


@pytest.mark.parametrize(
    ("fault", "permanent", "code"),
    [
        ("RCPT 550 no such user", True, 550),
        ("RCPT 450 greylisted", False, 450),
        ("DATA 554 not wanted", True, 554),
        ("DATA 451 later", False, 451),
    ],
)
async def test_a_refusal_is_told_and_the_next_message_goes_on(mailbox, transport, fault, permanent, code):
    """Whatever the server has said beside the refusal, the answer to the next message is the next message's."""
    mailbox.faults = [fault]
    with pytest.raises(DeliveryError) as raised:
        await transport.send(SENDER, CAMILLE, CONTENT)
    assert (raised.value.permanent, raised.value.smtp_code) == (permanent, code)
    assert mailbox.mails == []
    await transport.send(SENDER, "second@example.org", CONTENT)
    assert len(mailbox.mails) == 1


async def test_a_connection_that_was_lost_between_two_messages_is_opened_anew(mailbox, transport):
    await transport.send(SENDER, CAMILLE, CONTENT)
    mailbox.faults = ["drop"]
    with pytest.raises(DeliveryError) as raised:
        await transport.send(SENDER, CAMILLE, CONTENT)
    assert not raised.value.permanent
    await transport.send(SENDER, CAMILLE, CONTENT)
    assert mailbox.connections == 2


@pytest.mark.parametrize("address", ["a@b.example>\r\nRCPT TO:<c@d.example", "a b@c.example", "é@c.example"])
async def test_an_address_cannot_say_more_than_an_address(mailbox, transport, address):
    with pytest.raises(ValueError, match="address"):
        await transport.send(SENDER, address, CONTENT)
    await transport.send(SENDER, CAMILLE, CONTENT)
    assert len(mailbox.mails) == 1


async def test_a_server_that_says_nothing_is_not_waited_for_longer_than_the_setting(mailbox):
    """And the connection is not used again: its answer might still come."""
    mailbox.silent = asyncio.Event()
    transport = SmtpTransport(mailbox.url, tls="off", timeout_s=0.2)
    with pytest.raises(DeliveryError) as raised:
        await transport.send(SENDER, CAMILLE, CONTENT)
    assert not raised.value.permanent
    mailbox.silent.set()
    mailbox.silent = None
    await transport.send(SENDER, CAMILLE, CONTENT)
    assert mailbox.connections == 2
    await transport.close()


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"])
def test_nothing_within_a_message_ends_it(end):
    """Servers disagree on what a line break is: between two of them a second message could be smuggled in."""
    sent = travelling(b"x" + end + b"MAIL FROM:<a@b.example>")
    assert sent == b"x\r\n..\r\nMAIL FROM:<a@b.example>\r\n"
