"""A channel is a folder: what plans, admits, sends and shows messages knows none of them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
from tests.fixtures.source import parsed

import creneau_notifications
from creneau_notifications.channels.channel import Sent
from creneau_notifications.channels.registry import CHANNELS, by_name, media, offered
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.rules import ChannelRules, ReminderRule
from creneau_notifications.handlers import Notifications
from creneau_notifications.rendering.letter import Occasion, compose
from creneau_notifications.storage.addresses import Keyring
from creneau_notifications.storage.communications import Communications

from .conftest import ADDRESS_KEY, Service
from .factories import START, event

SOURCE = Path(creneau_notifications.__file__).parent
FOLDERS = sorted(p.parent.name for p in SOURCE.glob("channels/*/channel.py"))


@dataclass
class Pigeons:
    """A channel that nobody thought of: it tells at once, and reminds a day before."""

    name = "pigeon"
    medium: ClassVar = {"system": "http://example.org/media", "code": "PIGEON"}
    rules = ChannelRules(
        notices=True, reminders=(ReminderRule("1-day", booked_ahead_min=timedelta(days=2), days=1),)
    )
    flown: list[tuple[str, str]] = field(default_factory=list)

    def is_offered(self) -> bool:
        return True

    def is_planned_for(self, contact: Contact | None) -> bool:
        return contact is not None

    def given(self, contact: Contact) -> str | None:
        return contact.name

    def is_vouched(self, contact: Contact) -> bool:
        return True

    def address(self, given: str) -> Address:
        return Address(self.name, f"the roof of {given}", given, given)

    def reached_at(self, contact: Contact, address: Address) -> Contact:
        return replace(contact, name=address.value)

    def open(self, within: timedelta) -> Pigeons:
        return self

    async def send(self, occasion: Occasion, message: UUID, date: datetime) -> Sent:
        letter = compose(occasion)
        self.flown.append((occasion.contact.name, letter.subject))
        return Sent(occasion.contact.name, letter.subject)

    def message_id(self, message: UUID) -> str:
        return f"ring {message}"

    async def close(self) -> None:
        """It flies home by itself."""


@pytest.fixture
async def aviary(service: Service) -> tuple[Service, Pigeons]:
    """The service with pigeons beside e-mail and text messages."""
    pigeons = Pigeons()
    service.channels = by_name(*CHANNELS.values(), pigeons)
    service.carriers = {"pigeon": pigeons}
    service.communications = Communications("http://127.0.0.1:8080/fhir", media(service.channels))
    service.notifications = Notifications(
        service.communications, service.clock, service.channels, Keyring(ADDRESS_KEY)
    )
    return service, pigeons


async def test_a_new_channel_is_planned_admitted_sent_and_shown_like_any_other(aviary, mailbox):
    service, pigeons = aviary
    await service.learn()
    await service.hear(event())
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    assert pigeons.flown == [
        ("the roof of Camille Martin", "Votre rendez-vous du mardi 1er décembre à 10\u00a0h")
    ]
    service.at(START - timedelta(days=1))
    while await sender.send_due():
        pass
    assert len(pigeons.flown) == 2
    sent = await service.database.pool.fetch(
        "SELECT message.id, message_id, sent_to FROM attempt JOIN message ON message.id = message WHERE channel = 'pigeon'"
    )
    assert [tuple(row)[1:] for row in sent] == [
        (f"ring {row['id']}", "the roof of Camille Martin") for row in sent
    ]
    communication = await service.communication(sent[0]["id"])
    assert communication["medium"] == [{"coding": [Pigeons.medium]}]


async def test_a_channel_that_a_sender_does_not_know_is_left_to_those_who_do(aviary, mailbox):
    """While versions change, an older one finds messages of a channel that it has never heard of."""
    service, pigeons = aviary
    await service.learn()
    await service.hear(event())
    older = Service(
        service.url, service.database, service.clock, service.communications, service.notifications
    )
    while await older.smtp_sender(mailbox).send_due():
        pass
    assert len(mailbox.mails) == 1
    await service.smtp_sender(mailbox).send_due()
    assert len(pigeons.flown) == 1


def test_every_folder_is_registered():
    assert sorted(CHANNELS) == FOLDERS


def test_a_deployment_offers_text_messages_when_it_says_so(monkeypatch):
    assert list(offered()) == ["email"]
    monkeypatch.setenv("SMS_SENDER", "log")
    assert list(offered()) == ["email", "sms"]


def test_nobody_but_the_folders_names_a_channel():
    """No `if` by channel: outside the folders no string of the code is a channel's name, but for where a contact is
    read and kept, which has an e-mail address whether there is such a channel or not."""
    contacts = {SOURCE / "messaging" / "readers.py", SOURCE / "storage" / "tables.py"}
    elsewhere = [
        path
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] != "channels" and path not in contacts
    ]
    named = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in elsewhere
        for node in ast.walk(parsed(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in FOLDERS
    ]
    assert named == []
