"""One-time codes on their way: handed on at once, while the person waits, and kept nowhere in words.

They do not wait in the table of messages: whoever asks wants to know now whether it has left, and a code that is to be
sent later would have to be kept in plain text until then. How each channel does it stands in its folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.contact import Language
from creneau_shared.errors import Unprocessable
from creneau_shared.security.contact_accounts import ContactKind


@dataclass(frozen=True, slots=True)
class CodeLetter:
    """What is told with a code."""

    code: str
    language: Language
    minutes: int
    site_url: str


@dataclass(frozen=True, slots=True)
class CodeWording:
    """The sentences of one language."""

    subject: str
    says: str
    lasts: str
    keep: str
    not_asked: str


WORDINGS: Mapping[Language, CodeWording] = {
    "fr": CodeWording(
        subject="Votre code pour prendre rendez-vous",
        says="{code} est votre code Créneau.",
        lasts="Il fonctionne pendant {minutes} minutes, une seule fois.",
        keep="Ne le donnez à personne.",
        not_asked="Si vous n’avez rien demandé, ne faites rien : sans ce code, personne ne peut agir en votre nom.",
    ),
    "en": CodeWording(
        subject="Your code to book an appointment",
        says="{code} is your Créneau code.",
        lasts="It works for {minutes} minutes, once.",
        keep="Give it to nobody.",
        not_asked="If you did not ask for it, do nothing: without this code nobody can act in your name.",
    ),
}


class CodeWay(Protocol):
    """How codes go out by one channel."""

    @property
    def name(self) -> str:
        """The channel's."""
        ...

    @property
    def systems(self) -> frozenset[str]:
        """The ContactPoint.system of the contacts that are written to by it."""
        ...

    @property
    def kind(self) -> ContactKind:
        """What such a contact is to accounts."""
        ...

    def address(self, given: str) -> Address:
        """The address that was meant, in normal form; Unprocessable, in words, when no code can be sent to it."""
        ...

    def not_offered(self) -> Unprocessable:
        """The refusal where this deployment sends nothing by it."""
        ...

    async def send(self, address: Address, letter: CodeLetter) -> None:
        """Return once somebody else has taken responsibility for it; raise DeliveryError otherwise."""
        ...


class CodePost:
    """Sends codes, a few at once. `timeout_s`: longest that one may take."""

    def __init__(self, ways: Mapping[str, CodeWay], at_once: int, timeout_s: float) -> None:
        """`ways`: those of the channels on offer, by their names."""
        self._ways = ways
        self._places = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s

    def offers(self, way: CodeWay) -> bool:
        """Whether codes go out by it here."""
        return way.name in self._ways

    async def send(self, way: CodeWay, address: Address, letter: CodeLetter) -> None:
        """Return once the code has left; raise DeliveryError otherwise."""
        try:
            async with asyncio.timeout(self._timeout_s), self._places:
                await way.send(address, letter)
        except TimeoutError as error:
            raise DeliveryError("no answer in time", permanent=False) from error
