"""Notes that somebody waits for: one-time codes and new links. Sent at once, and their text is stored nowhere.

Notes do not wait in the table of messages. The caller wants to know now whether the note has left, and a later sending would
need its plain text stored until then. Each channel's folder has its way of sending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from creneau_notifications.channels.channel import DeliveryError, Reached
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.contact import Language
from creneau_shared.errors import Unprocessable
from creneau_shared.security.contact_accounts import ContactKind


@dataclass(frozen=True, slots=True)
class Note:
    """A few sentences. `brief`: what fits into a text message."""

    language: Language
    subject: str
    lines: tuple[str, ...]
    brief: str


@dataclass(frozen=True, slots=True)
class NoteWording:
    """The sentences of one language."""

    code_subject: str
    code: str
    code_lasts: str
    code_keep: str
    not_asked: str
    link_subject: str
    link: str
    link_why: str


WORDINGS: Mapping[Language, NoteWording] = {
    "fr": NoteWording(
        code_subject="Votre code pour prendre rendez-vous",
        code="{code} est votre code Créneau.",
        code_lasts="Il fonctionne pendant {minutes} minutes, une seule fois.",
        code_keep="Ne le donnez à personne.",
        not_asked="Si vous n’avez rien demandé, ne faites rien : sans ce code, personne ne peut agir en votre nom.",
        link_subject="Votre nouveau lien",
        link="Pour voir, déplacer ou annuler votre rendez-vous : {url}",
        link_why="Ce lien remplace celui du message précédent, qui ne fonctionne plus.",
    ),
    "en": NoteWording(
        code_subject="Your code to book an appointment",
        code="{code} is your Créneau code.",
        code_lasts="It works for {minutes} minutes, once.",
        code_keep="Give it to nobody.",
        not_asked="If you did not ask for it, do nothing: without this code nobody can act in your name.",
        link_subject="Your new link",
        link="To see, move or cancel your appointment: {url}",
        link_why="This link takes the place of the earlier message's, which works no longer.",
    ),
}


def code_note(code: str, minutes: int, language: Language, site_url: str) -> Note:
    """A one-time code. The subject, shown on locked screens, omits it. The last line of the text message lets browsers offer
    the code on this site alone."""
    wording = WORDINGS[language]
    says, lasts = wording.code.format(code=code), wording.code_lasts.format(minutes=minutes)
    host = urlsplit(site_url).hostname or ""
    brief = f"{says} {lasts} {wording.code_keep}\n\n@{host} #{code}"
    lines = (says, "", lasts, wording.code_keep, "", wording.not_asked)
    return Note(language, wording.code_subject, lines, brief)


def link_note(url: str, language: Language) -> Note:
    """A new link to a visit, with no details of it."""
    wording = WORDINGS[language]
    says = wording.link.format(url=url)
    return Note(language, wording.link_subject, (says, "", wording.link_why), says)


class NoteWay(Protocol):
    """How notes go out by one channel."""

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
        """The address that was meant, in normal form; Unprocessable, in words, when nothing can be sent to it."""
        ...

    def not_offered(self) -> Unprocessable:
        """The refusal where this deployment sends nothing by it."""
        ...

    def open(self) -> AbstractAsyncContextManager[HandOver]:
        """The way out for one note, once there is somebody to hand it to; raise DeliveryError otherwise."""
        ...


HandOver = Callable[[Address, Note], Awaitable[None]]
"""Returns once somebody else has taken responsibility for the note; raises DeliveryError otherwise."""


class NotePost:
    """Sends notes, a few at once. `timeout_s`: longest that one may take."""

    def __init__(self, ways: Mapping[str, NoteWay], at_once: int, timeout_s: float) -> None:
        """`ways`: those of the channels on offer, by their names."""
        self._ways = ways
        self._places = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s

    def offers(self, way: NoteWay) -> bool:
        """Whether notes go out by it here."""
        return way.name in self._ways

    async def send(self, way: NoteWay, address: Address, note: Note) -> None:
        """Return once the note has left; raise DeliveryError otherwise. A note that has waited for a place, or for a
        connection, alone came to nobody."""
        begun = False
        try:
            async with asyncio.timeout(self._timeout_s), self._places, way.open() as hand_over:
                begun = True
                await hand_over(address, note)
        except TimeoutError as error:
            if begun:
                raise DeliveryError("no answer in time", permanent=False) from error
            raise DeliveryError(
                "no place or connection in time", permanent=False, reached=Reached.NOBODY
            ) from error
