"""The local mailbox: a message that comes by SMTP can be read, with its attachments, and does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest
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
