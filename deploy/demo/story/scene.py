"""Where the story plays and what it has learned so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from deploy.demo.story.bus import Bus
from deploy.demo.story.dialogue import Dialogue
from deploy.demo.story.mailbox import Mailbox
from deploy.demo.story.narrator import Narrator
from deploy.demo.story.reading import Resource

Tokens = Callable[[str, str | None], str]
"""Subject and Patient id (once known) → a bearer token of role patient."""
PracticeTokens = Callable[[str], str]
"""Organization id → a bearer token of that practice's secretary."""


@dataclass(frozen=True)
class Scene:
    """Whom to ask and whom to tell. `run` makes the fictional people of this run unlike those of another."""

    narrator: Narrator
    dialogue: Dialogue
    mailbox: Mailbox
    bus: Bus
    tokens: Tokens
    practice_tokens: PracticeTokens
    now: datetime
    run: str


@dataclass(frozen=True)
class Professional:
    """Someone whom the search found, at one place: `reference` is Practitioner/<id>, `national_id` the IDNPS."""

    reference: str
    name: str
    national_id: str
    organization: str
    """id of the practice whose agenda it is"""
    place_reference: str
    place: str
    address: str
    zone: ZoneInfo


@dataclass(frozen=True)
class Opening:
    """A free slot that the patient may book."""

    reference: str
    start: datetime
    end: datetime
    start_text: str
    end_text: str
    """the instants as the server wrote them"""
    specialty: tuple[Resource, ...]
    service_type: tuple[Resource, ...]


@dataclass(frozen=True)
class Patient:
    """Someone who has registered, with the token that carries their Patient id."""

    reference: str
    name: str
    email: str
    token: str


@dataclass(frozen=True)
class Booking:
    """An appointment of the story."""

    id: str
    opening: Opening
    professional: Professional
    patient: Patient

    @property
    def path(self) -> str:
        return f"/fhir/Appointment/{self.id}"
