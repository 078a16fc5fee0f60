"""Professionals with their places, as anybody may read them: kept in memory for a stated time."""

from __future__ import annotations

from collections.abc import Iterable

from creneau_web.care.kept import Kept
from creneau_web.care.model import Place, Professional
from creneau_web.care.reading import places_of, professionals_now, professionals_of
from creneau_web.fhir.client import ID, Fhir, Resource, checked
from creneau_web.fhir.refusal import Refusal, RefusedError, is_about_who_asks

INCLUDES = ("practitioner", "location", "service")
PART_OF = ("_include:iterate", "Location:partof")
BEYOND = (("_include:iterate", "HealthcareService:location"), PART_OF)
"""asked for beside professionals: the places of their offers, and the sites of rooms"""
PLACES = {
    "Location": [PART_OF],
    "HealthcareService": [("_include", "HealthcareService:location"), PART_OF],
}
"""the types that have a place → what is asked for beside them"""
MOST = 200
"""professionals of one answer"""


class Directory:
    """Public data of professionals. `kept_s`: how old what is kept may be, seconds."""

    def __init__(self, kept_s: float) -> None:
        self._people: Kept[Professional] = Kept(kept_s, is_personal=is_about_who_asks)
        self._places: Kept[tuple[Place, ...]] = Kept(kept_s, is_personal=is_about_who_asks)

    async def professional(self, fhir: Fhir, role: str) -> Professional:
        """One professional with their place. RefusedError (404) when there is none of this id."""
        checked(ID, role)
        public = fhir.as_(None)

        async def ask() -> Professional:
            found = professionals_of(await _search(public, "_id", [role]), fhir.at)
            if not found:
                await public.read("PractitionerRole", role)
                raise RefusedError(Refusal(404, "not-found", ""))  # it appeared between the two requests
            return found[0]

        return await self._people.get(role, ask)

    async def of_roles(self, fhir: Fhir, roles: Iterable[str]) -> list[Professional]:
        """Those of these PractitionerRoles (ids) that exist; those not kept are asked for in one search."""
        known = {role: self._people.known(role) for role in roles}
        unknown = [role for role, professional in known.items() if professional is None]
        answered = await _search(fhir.as_(None), "_id", unknown) if unknown else {}
        self.remember(found := professionals_of(answered, fhir.at))
        return [*(one for one in known.values() if one is not None), *found]

    async def of_practitioners(self, fhir: Fhir, people: Iterable[str]) -> list[Professional]:
        """Present roles of these Practitioners (ids), no former ones."""
        bundle = await _search(
            fhir.as_(None),
            "practitioner",
            people,
            ("active:not", "false"),
            ("_include", "PractitionerRole:organization"),
        )
        self.remember(found := professionals_now(bundle, fhir.at))
        return found

    async def places(self, fhir: Fhir, references: Iterable[str]) -> dict[str, tuple[Place, ...]]:
        """The places of these Locations and HealthcareServices (`Type/id`), as far as they exist; those not kept are asked
        for in one search for each type."""
        kept = {reference: self._places.known(reference) for reference in references}
        found = {reference: places for reference, places in kept.items() if places is not None}
        for type_, includes in PLACES.items():
            ids = [one.partition("/")[2] for one in kept if one not in found and one.startswith(f"{type_}/")]
            if ids:
                query = [("_id", ",".join(ids)), *includes, ("_count", str(MOST)), ("_total", "none")]
                answered = places_of(await fhir.as_(None).search(type_, query), fhir.at)
                found |= {one: places for one, places in answered.items() if one in kept}
        for reference, places in found.items():
            self._places.put(reference, places)
        return found

    def remember(self, people: Iterable[Professional]) -> None:
        """Keeps professionals that some answer told."""
        for professional in people:
            self._people.put(professional.id, professional)


async def _search(fhir: Fhir, parameter: str, ids: Iterable[str], *besides: tuple[str, str]) -> Resource:
    query = [
        (parameter, ",".join(ids)),
        *besides,
        *(("_include", f"PractitionerRole:{name}") for name in INCLUDES),
        *BEYOND,
        ("_count", str(MOST)),
        ("_total", "none"),
    ]
    return await fhir.search("PractitionerRole", query)
