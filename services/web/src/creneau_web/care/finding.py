"""From the three fields of the home page to professionals: who, where, and how.

The one module that knows how the directory is asked: by its search for people, in everyday words (`$find-care`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from creneau_shared.clock import Clock
from creneau_web.care.kept import Kept
from creneau_web.care.model import Availability, Card, Professional
from creneau_web.care.reading import professionals_of
from creneau_web.care.soonest import first_openings
from creneau_web.care.towns import Town, choices_of, town_of
from creneau_web.care.understood import Told, parameters_of, told_of
from creneau_web.fhir.client import Fhir

Mode = Literal["", "sur-place", "video", "domicile"]
MODES: dict[Mode, str] = {"sur-place": "AMB", "video": "VR", "domicile": "HH"}

FIND, SUGGEST = "$find-care", "$suggest"
TEXT_MAX = 300
"""characters of a text that the directory reads"""
ASKED = 60
"""professionals whose first free times are compared"""
PAGE = 10
INCLUDES = ("practitioner", "location", "service")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has come to. Either `choices` (which town is meant?) or results."""

    cards: tuple[Card, ...] = ()
    total: int = 0
    compared: int = 0
    """of how many the first free times were compared"""
    told: Told = field(default_factory=Told)
    town: Town | None = None
    choices: tuple[Town, ...] = ()
    town_unknown: bool = False
    typed: str = ""

    @property
    def who(self) -> str | None:
        """Whom the page is about: a kind of care, or a name as it was typed."""
        return self.told.who or (self.typed if self.told.named else None)


class Finding:
    """Searches for people; what anybody may read is kept for some seconds."""

    def __init__(self, clock: Clock, kept_s: float) -> None:
        self._clock = clock
        self._kept: Kept[Found] = Kept(kept_s)
        self._people: Kept[Professional] = Kept(kept_s)

    async def find(self, fhir: Fhir, what: str, where: str, mode: Mode = "") -> Found:
        """Everybody who fits, those who are free soonest first."""
        public = fhir.as_(None)
        found = await self._kept.get(
            (what, where, fhir.language), lambda: self._search(public, what.strip(), where.strip())
        )
        fitting = _in_mode(found.cards, mode)
        total = found.total if not mode else len(fitting)
        return replace(found, cards=tuple(sorted(fitting, key=_soonest)), total=total)

    async def _search(self, fhir: Fhir, what: str, where: str) -> Found:
        text = f"{what} à {where}" if where else what
        bundle = await fhir.search(
            f"PractitionerRole/{FIND}", [("text", text[:TEXT_MAX]), ("_count", str(ASKED))]
        )
        parameters, told = parameters_of(bundle), told_of(bundle)
        if where:
            suggested = await fhir.search(
                f"PractitionerRole/{SUGGEST}", [("text", where[:TEXT_MAX]), ("_count", "8")]
            )
            choices = choices_of(parameters, suggested, where)
            town = town_of(parameters)
            if choices or town is None:
                return Found(told=told, choices=tuple(choices), town_unknown=not choices)
        people = professionals_of(bundle)
        free = await first_openings(fhir, people, self._clock.now() + timedelta(minutes=1))
        cards = tuple(Card(person, free[person.id]) for person in people)
        total = bundle.get("total", len(cards))
        return Found(cards, total, len(cards), told, town_of(parameters), typed=what)

    async def professional(self, fhir: Fhir, role: str) -> Professional:
        """One professional with their place. RefusedError (404) when there is none of this id."""
        public = fhir.as_(None)

        async def ask() -> Professional:
            query = [("_id", role), *(("_include", f"PractitionerRole:{name}") for name in INCLUDES)]
            found = professionals_of(await public.search("PractitionerRole", query))
            if not found:
                await public.read("PractitionerRole", role)
            return found[0]

        return await self._people.get(role, ask)


def _in_mode(cards: Sequence[Card], mode: Mode) -> list[Card]:
    """Only the free times of one way of seeing each other, and who has some."""
    if not mode:
        return list(cards)
    code = MODES[mode]
    kept = (
        replace(
            card,
            availability=Availability(tuple(o for o in card.availability.openings if code in o.modes)),
        )
        for card in cards
    )
    return [card for card in kept if card.availability.openings]


def _soonest(card: Card) -> tuple[bool, float, str]:
    start = card.availability.next_start
    return (start is None, start.timestamp() if start else 0.0, card.professional.name)
