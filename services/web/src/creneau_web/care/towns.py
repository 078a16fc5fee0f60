"""Towns in which there is somebody: read from the directory now and then, found however they are spelt.

What the directory's own search for people will understand takes this module's place (`finding.py` is the only one to
know it).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from creneau_shared.clock import Clock
from creneau_web.care.folding import fold
from creneau_web.fhir.client import Fhir, Resource
from creneau_web.fhir.values import entries

PAGE = "500"
CLOSE_ENOUGH = 0.78
CHOICES_MAX = 8


@dataclass(frozen=True, slots=True)
class Town:
    """A commune as the directory's addresses name it."""

    name: str
    postal_codes: tuple[str, ...]
    places: int
    """how many places of care there are in it"""

    @property
    def department(self) -> str:
        """`35`, `2A`'s `20`, `974`: enough to tell towns of one name apart."""
        code = self.postal_codes[0] if self.postal_codes else ""
        return code[:3] if code.startswith(("97", "98")) else code[:2]


class Towns:
    """The list of towns, refreshed when it is old; one reading at a time."""

    def __init__(self, clock: Clock, *, refresh: timedelta, places_max: int) -> None:
        self._clock = clock
        self._refresh = refresh
        self._places_max = places_max
        self._towns: tuple[Town, ...] = ()
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def all(self, fhir: Fhir) -> tuple[Town, ...]:
        """Every town, the largest first."""
        now = self._clock.now()
        if self._read_at is None or (now - self._read_at > self._refresh and not self._reading.locked()):
            async with self._reading:
                if self._read_at is None or now - self._read_at > self._refresh:
                    self._towns = towns_of(await self._addresses(fhir))
                    # A directory that is still empty is asked again soon.
                    self._read_at = now if self._towns else None
        return self._towns

    async def _addresses(self, fhir: Fhir) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        page: Resource | None = await fhir.as_(None).search(
            "Location", [("_elements", "address"), ("_count", PAGE)]
        )
        while page is not None and len(found) < self._places_max:
            addresses = (location.get("address", {}) for location in entries(page, "Location"))
            found += [(a["city"], a.get("postalCode", "")) for a in addresses if a.get("city")]
            page = await fhir.as_(None).follow(page)
        return found


def towns_of(addresses: Iterable[tuple[str, str]]) -> tuple[Town, ...]:
    """Towns from (city, postal code) of places, those with most places first."""
    codes: Mapping[str, list[str]] = defaultdict(list)
    for city, code in addresses:
        codes[city].append(code)
    towns = (
        Town(city, tuple(sorted({code for code in own if code})), len(own)) for city, own in codes.items()
    )
    return tuple(sorted(towns, key=lambda town: (-town.places, town.name)))


def find_towns(text: str, towns: Iterable[Town]) -> list[Town]:
    """Which towns may be meant: one when it is clear, several to choose from, none when nothing is alike."""
    all_towns, folded = list(towns), fold(text)
    if not folded:
        return []
    digits = [word for word in folded.split() if word.isdigit()]
    if digits and folded == digits[0]:
        return [town for town in all_towns if any(code.startswith(folded) for code in town.postal_codes)]
    name = " ".join(word for word in folded.split() if not word.isdigit())
    same = [town for town in all_towns if fold(town.name) == name]
    if digits:
        there = [town for town in same if any(code.startswith(digits[0]) for code in town.postal_codes)]
        same = there or same
    if same:
        return same
    beginning = [town for town in all_towns if fold(town.name).startswith(name)]
    if beginning:
        return beginning[:CHOICES_MAX]
    alike = [(SequenceMatcher(None, name, fold(town.name)).ratio(), town) for town in all_towns]
    close = sorted((pair for pair in alike if pair[0] >= CLOSE_ENOUGH), key=lambda pair: -pair[0])
    return [town for _, town in close[:CHOICES_MAX]]
