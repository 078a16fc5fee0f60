"""From the three fields of the home page to professionals: who, where, and how.

The one module that knows how the directory is asked; its search for people (in everyday words) slips in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from creneau_shared.clock import Clock
from creneau_web.care.kept import Kept
from creneau_web.care.model import Availability, Card, Professional
from creneau_web.care.reading import professionals_of
from creneau_web.care.soonest import first_openings
from creneau_web.care.towns import Town, Towns, find_towns
from creneau_web.care.wanted import Wanted, understand
from creneau_web.fhir.client import Fhir

Mode = Literal["", "sur-place", "video", "domicile"]
MODES: dict[Mode, str] = {"sur-place": "AMB", "video": "VR", "domicile": "HH"}

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
    wanted: Wanted | None = None
    name: str | None = None
    """the words were taken for a name"""
    town: Town | None = None
    choices: tuple[Town, ...] = ()
    town_unknown: bool = False


class Finding:
    """Searches for people; what anybody may read is kept for some seconds."""

    def __init__(self, clock: Clock, towns: Towns, kept_s: float) -> None:
        self._clock = clock
        self._towns = towns
        self._kept: Kept[tuple[int, tuple[Card, ...]]] = Kept(kept_s)
        self._people: Kept[Professional] = Kept(kept_s)

    async def find(self, fhir: Fhir, what: str, where: str, mode: Mode = "") -> Found:
        """Everybody who fits, those who are free soonest first."""
        wanted = understand(what)
        town: Town | None = None
        if where.strip():
            towns = find_towns(where, await self._towns.all(fhir))
            if len(towns) != 1:
                return Found(wanted=wanted, choices=tuple(towns), town_unknown=not towns)
            town = towns[0]
        name = what.strip() if wanted is None and what.strip() else None
        query = _query(wanted, name, town)
        public = fhir.as_(None)
        total, cards = await self._kept.get((tuple(query), fhir.language), lambda: self._cards(public, query))
        fitting = _in_mode(cards, mode)
        return Found(
            cards=tuple(sorted(fitting, key=_soonest)),
            total=total if not mode else len(fitting),
            compared=len(cards),
            wanted=wanted,
            name=name,
            town=town,
        )

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

    async def _cards(self, fhir: Fhir, query: Sequence[tuple[str, str]]) -> tuple[int, tuple[Card, ...]]:
        bundle = await fhir.search("PractitionerRole", query)
        people = professionals_of(bundle)
        free = await first_openings(fhir, people, self._clock.now() + timedelta(minutes=1))
        return bundle.get("total", len(people)), tuple(Card(p, free[p.id]) for p in people)


def _query(wanted: Wanted | None, words: str | None, town: Town | None) -> list[tuple[str, str]]:
    query: list[tuple[str, str]] = [("active", "true")]
    if wanted is not None:
        parameters = dict.fromkeys(parameter for parameter, _ in wanted.codes)
        query += [(name, ",".join(token for n, token in wanted.codes if n == name)) for name in parameters]
    if words is not None:
        query.append(("practitioner.name", words))
    if town is not None:
        query.append(("location.address-city:exact", town.name))
    return [*query, *(("_include", f"PractitionerRole:{kind}") for kind in INCLUDES), ("_count", str(ASKED))]


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
