"""The local mailbox: a message that comes by SMTP can be read, with its attachments, and does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest
from aiosmtpd.smtp import SMTP
from deploy.local import mailbox
from deploy.local.mail_pages import create_app
from deploy.local.mail_store import MailStore
from deploy.local.mailbox import accept
from deploy.local.ports import free_port

CALENDAR = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


def invitation(subject: str = "Votre rendez-vous du 1ᵉʳ décembre") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Créneau <rendez-vous@creneau.example>"
    message["To"] = "camille@patients.example"
    message["Subject"] = subject
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message["Message-ID"] = "<abc@creneau.example>"
    message.set_content("Bonjour Camille,\nvotre rendez-vous est confirmé.\n")
    message.add_alternative("<p>Bonjour <script>alert(1)</script></p>", subtype="html")
    message.add_attachment(
        CALENDAR.encode(), maintype="text", subtype="calendar", filename="rendez-vous été.ics"
    )
    return message


@pytest.fixture
def store(tmp_path: Path) -> MailStore:
    return MailStore(tmp_path / "mail")


@pytest.fixture
async def client(store: MailStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://mailbox") as client:
        yield client


@pytest.fixture
async def smtp_port(store: MailStore) -> AsyncIterator[int]:
    port = free_port()
    server = await asyncio.get_running_loop().create_server(lambda: accept(store), "127.0.0.1", port)
    async with server:
        yield port


async def test_a_message_sent_by_smtp_is_listed(smtp_port: int, client: httpx.AsyncClient) -> None:
    await aiosmtplib.send(
        invitation(),
        hostname="127.0.0.1",
        port=smtp_port,
        recipients=["camille@patients.example", "hidden@proxies.example"],
    )
    (listed,) = (await client.get("/dev/mail.json")).json()
    assert listed["from"] == "Créneau <rendez-vous@creneau.example>"
    assert listed["to"] == "camille@patients.example, hidden@proxies.example", (
        "the envelope, blind copies too"
    )
    assert listed["subject"] == "Votre rendez-vous du 1ᵉʳ décembre"
    assert listed["messageId"] == "<abc@creneau.example>"
    assert listed["date"] == "2026-11-22T10:00:00+01:00"
    assert "votre rendez-vous est confirmé" in listed["text"]
    (attachment,) = listed["attachments"]
    assert attachment["filename"] == "rendez-vous été.ics"
    file = await client.get(attachment["url"])
    assert file.headers["content-type"].startswith("text/calendar")
    assert file.text.replace("\r\n", "\n") == CALENDAR.replace("\r\n", "\n")


HEAD = (b"EHLO me", b"MAIL FROM:<a@exemple.fr>", b"RCPT TO:<b@exemple.fr>", b"DATA")


async def say(port: int, *lines: bytes) -> bytes:
    """All that is answered to these lines, until the server hangs up."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(line + b"\r\n" for line in lines))
        said = await reader.read()
        writer.close()
    return said


async def test_a_message_is_kept_as_it_was_written(smtp_port: int, store: MailStore) -> None:
    """Dots at the beginning of lines, long lines, several messages over one connection, a text without a line."""
    texts = [b"S: 1\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n", b".\r\n", b"S: 2\r\n\r\n" + 3000 * b"x" + b"\r\n"]
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port) as client:
        for text in texts:
            await client.sendmail("a@exemple.fr", ["b@exemple.fr"], text)
        with pytest.raises(aiosmtplib.SMTPResponseException):
            await client.data(b"nobody was named")
    said = await say(smtp_port, *HEAD, b".", b"QUIT")
    assert b"250 OK" in said.partition(b"354 ")[2]
    kept = [message.source.partition(b"b@exemple.fr\r\n")[2] for message in store.newest_first()]
    assert kept[::-1] == [*texts, b""]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "<a@b.fr>",
            "<a.b+c-d_e@B-c.fr> SIZE=12 BODY=8BITMIME",
            "<a@b>  SIZE=1",
            "a@b.fr",
            '<"a b"@c.fr>',
            "<>",
        ),
        *("<a..b@c.fr>", "<a@b.fr", "<é@b.fr>", "<a@b.fr>x", "<.a@b.fr>", "", "<a@[127.0.0.1]>", "<a@b..fr>"),
    ],
)
def test_an_address_is_read_as_the_library_reads_it(store: MailStore, path: str) -> None:
    session = accept(store)
    assert session._getaddr(path) == SMTP._getaddr(session, path)


async def test_a_message_that_is_too_large_is_refused(
    smtp_port: int, store: MailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox.Session, "line_length_limit", 1000)
    assert b"\r\n552 " in await say(smtp_port, *HEAD, 5000 * b"x")
    assert not list(store.newest_first())


async def test_the_newest_comes_first_and_one_address_can_be_asked_for(
    store: MailStore, client: httpx.AsyncClient
) -> None:
    for subject in ("un", "deux", "trois"):
        store.add(invitation(subject).as_bytes(), "a@creneau.example", [f"{subject}@patients.example"])
    assert [message["subject"] for message in (await client.get("/dev/mail.json")).json()] == [
        "trois",
        "deux",
        "un",
    ]
    (only,) = (await client.get("/dev/mail.json", params={"to": "deux@patients.example"})).json()
    assert only["subject"] == "deux"


async def test_pages_escape_what_the_message_says(store: MailStore, client: httpx.AsyncClient) -> None:
    key = store.add(invitation("<script>alert(2)</script>").as_bytes(), None, ["x@patients.example"])
    for page in ("/dev/mail", f"/dev/mail/{key}"):
        text = (await client.get(page)).text
        assert "&lt;script&gt;alert(2)" in text
        assert "<script>" not in text
    html = await client.get(f"/dev/mail/{key}/html")
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


async def test_what_is_not_there_is_a_404(store: MailStore, client: httpx.AsyncClient) -> None:
    key = store.add(invitation().as_bytes(), None, ["x@patients.example"])
    for path in (
        "/dev/mail/nothing",
        f"/dev/mail/{key}/attachments/9",
        "/dev/mail/..%2f..%2fissuer-key.json",
    ):
        assert (await client.get(path)).status_code == 404
