"""The development mailbox, and the calendar files in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from icalendar import Calendar

from deploy.demo.story.errors import StoryError, wait_for

WITHIN_S = 30.0


@dataclass(frozen=True)
class Invitation:
    """A message with a calendar file: `method` is REQUEST or CANCEL (iTIP), `sequence` that of the event."""

    subject: str
    text: str
    url: str
    method: str
    uid: str
    sequence: int
    start: datetime
    ics: str


class Mailbox:
    """Reads `/dev/mail.json` of the gateway."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def wait(self, recipient: str, appointment: str, method: str, sequence_min: int = 0) -> Invitation:
        """The message to `recipient` with a calendar file of that method for the appointment of that id."""

        def look() -> Invitation | None:
            for invitation in self._invitations(recipient):
                about = appointment in invitation.uid
                if about and invitation.method == method and invitation.sequence >= sequence_min:
                    return invitation
            return None

        what = f"Aucun courriel {method} pour le rendez-vous {appointment} n'est arrivé à {recipient}"
        return wait_for(look, what, WITHIN_S)

    def subject(self, recipient: str, beginning: str) -> str:
        """The subject of the message to `recipient` that begins so."""

        def look() -> str | None:
            messages = self._messages(recipient)
            return next(
                (str(m["subject"]) for m in messages if str(m["subject"]).startswith(beginning)), None
            )

        return wait_for(look, f"Aucun courriel « {beginning} … » n'est arrivé à {recipient}", WITHIN_S)

    def _messages(self, recipient: str) -> list[dict[str, Any]]:
        answer = self._client.get("/dev/mail.json", params={"to": recipient})
        if answer.status_code != 200:
            raise StoryError(f"La boîte aux lettres (/dev/mail.json) a répondu {answer.status_code}.")
        messages: list[dict[str, Any]] = answer.json()
        return messages

    def _invitations(self, recipient: str) -> Iterator[Invitation]:
        for message in self._messages(recipient):
            for attachment in message["attachments"]:
                if attachment["contentType"] == "text/calendar":
                    yield self._invitation(message, attachment["url"])

    def _invitation(self, message: dict[str, Any], url: str) -> Invitation:
        ics = self._client.get(url).content.decode()
        try:
            calendar = Calendar.from_ical(ics)
            event = calendar.walk("VEVENT")[0]
            return Invitation(
                subject=message["subject"],
                text=message["text"],
                url=message["url"],
                method=str(calendar["METHOD"]),
                uid=str(event["UID"]),
                sequence=int(str(event["SEQUENCE"])),
                start=event.decoded("DTSTART"),
                ics=ics,
            )
        except (KeyError, IndexError, ValueError) as error:
            raise StoryError(
                f"Le fichier calendrier de « {message['subject']} » est illisible : {error}."
            ) from error
