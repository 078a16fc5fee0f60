"""What is said to a mail server of one message: our words in it are never its commands."""

from __future__ import annotations

import pytest
from aiosmtplib import SMTP, SMTPResponse
from aiosmtplib.protocol import PERIOD_REGEX, SMTPProtocol, normalize_message_line_endings
from hypothesis import given
from hypothesis import strategies as st

from creneau_notifications.channels.channel import DeliveryError, Reached
from creneau_notifications.channels.email.envelope import as_it_travels, hand_over
from creneau_notifications.channels.email.smtp import SmtpTransport

from .mailbox import open_mailbox

lines = st.lists(st.text("ab. \t", max_size=6).map(str.encode), min_size=1, max_size=8)


@given(lines)
def test_text_travels_as_the_library_would_send_it(text: list[bytes]) -> None:
    content = b"\r\n".join(text)
    assert (
        as_it_travels(content) == PERIOD_REGEX.sub(b"..", normalize_message_line_endings(content)) + b".\r\n"
    )


@pytest.mark.parametrize(
    "content", [b"a\n", b"a\r", b"a\n.\nQUIT\r\n", b"a\r.\r\n", b"\r\n.\r\r\n", b"a\n\r\n"]
)
def test_lines_that_end_otherwise_are_refused(content: bytes) -> None:
    """A server that takes a bare line feed for an end would find the end of the message, and a command behind it."""
    with pytest.raises(ValueError, match="CRLF"):
        as_it_travels(content)


@pytest.mark.parametrize(
    "address", ["", "a", "a@b> SIZE=0", "a@b\r\nRSET", 'a"@b', "<a@b>", "a b@c", "é@b", "a@b\n", "a@b\x00"]
)
async def test_an_address_is_one_word_of_a_command(address: str) -> None:
    async with open_mailbox() as mailbox, SMTP(hostname="127.0.0.1", port=mailbox.port) as client:
        await client.ehlo()
        for sender, recipient in ((address, "a@b.fr"), ("a@b.fr", address)):
            with pytest.raises(ValueError, match="address"):
                await hand_over(client, sender, recipient, b"a\r\n", final_timeout_s=30)
        await hand_over(client, "a@b.fr", "c@d.fr", b"Subject: .\r\n\r\n.a\r\n..b\r\n", final_timeout_s=30)
        assert [mail.get_content() for mail in mailbox.mails] == [".a\r\n..b\r\n"]


async def test_the_answer_to_the_whole_message_is_waited_for_longer(mailbox, monkeypatch) -> None:
    """Of a server that checks what it has got before it answers: without its word the message would leave again."""
    waits: list[float | None] = []
    read = SMTPProtocol.read_response

    async def waited(protocol: SMTPProtocol, **wait: float | None) -> SMTPResponse:
        waits.append(wait["timeout"])
        return await read(protocol, **wait)

    monkeypatch.setattr(SMTPProtocol, "read_response", waited)
    transport = SmtpTransport(mailbox.url, tls="off", timeout_s=30, final_timeout_s=77)
    await transport.send("a@b.fr", "c@d.fr", b"Subject: x\r\n\r\na\r\n")
    await transport.close()
    assert waits[-1] == 77
    assert 77 not in waits[:-1]


@pytest.mark.parametrize(
    ("fault", "reached"),
    [
        ("MAIL 530 5.7.0 log in", Reached.NOBODY),
        ("RCPT 451 4.7.1 greylisted", Reached.REFUSAL),
        ("DATA 452 full", Reached.REFUSAL),
        ("DATA 554 5.6.0 malformed", Reached.REFUSAL),
        ("drop", Reached.SILENCE),
    ],
)
async def test_it_is_known_how_far_a_message_came(mailbox, fault: str, reached: Reached) -> None:
    transport = SmtpTransport(mailbox.url, tls="off", timeout_s=30)
    mailbox.faults = [fault]
    with pytest.raises(DeliveryError) as failed:
        await transport.send("a@b.fr", "c@d.fr", b"Subject: x\r\n\r\na\r\n")
    await transport.close()
    assert failed.value.reached is reached
    assert failed.value.has_not_left == (reached is not Reached.SILENCE)


async def test_a_server_that_is_not_there_has_taken_nothing() -> None:
    async with open_mailbox() as gone:
        transport = SmtpTransport(gone.url, tls="off", timeout_s=30)
    with pytest.raises(DeliveryError) as failed:
        await transport.send("a@b.fr", "c@d.fr", b"a\r\n")
    assert failed.value.reached is Reached.NOBODY


async def test_a_refused_message_leaves_the_connection_for_the_next(mailbox) -> None:
    async with SMTP(hostname="127.0.0.1", port=mailbox.port) as client:
        await client.ehlo()
        for fault in ("RCPT 550 unknown", "DATA 554 no", "DATA 451 later"):
            mailbox.faults.append(fault)
            with pytest.raises(Exception, match=fault.split()[-1]):
                await hand_over(client, "a@b.fr", "c@d.fr", b"Subject: x\r\n\r\na\r\n", final_timeout_s=30)
        await hand_over(client, "a@b.fr", "c@d.fr", b"Subject: x\r\n\r\na\r\n", final_timeout_s=30)
        assert len(mailbox.mails) == 1
