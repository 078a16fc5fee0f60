"""The time zone of a place: the one that it states, else the one of its French address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from creneau_shared.clock import ZONES, zone_named
from creneau_shared.errors import Issue
from creneau_shared.postal_codes import postal_code
from creneau_shared.territories import is_abroad, territory_of

TIME_ZONE = "https://creneau.sante.fr/fhir/StructureDefinition/time-zone"
"""Our extension (code: an IANA name) on Location, Schedule, HealthcareService; HL7's own are not allowed there."""
READ_TOO = frozenset(
    {"http://hl7.org/fhir/StructureDefinition/timezone", "http://hl7.org/fhir/StructureDefinition/tz-code"}
)
"""HL7's extensions, read too because other systems write them there nevertheless."""
INSEE_CODE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
"""FR Core's extension of an address (Coding): its commune in the code officiel géographique"""
METROPOLITAN = "Europe/Paris"
OVERSEAS = {
    "971": "America/Guadeloupe",
    "972": "America/Martinique",
    "973": "America/Cayenne",
    "974": "Indian/Reunion",
    "975": "America/Miquelon",
    "976": "Indian/Mayotte",
    "97133": "America/St_Barthelemy",
    "9705": "America/Marigot",
    "97150": "America/Marigot",
    "9709": "America/St_Barthelemy",
    "97123": "America/St_Barthelemy",
    "97127": "America/Marigot",
    "977": "America/St_Barthelemy",
    "978": "America/Marigot",
    "984": "Indian/Kerguelen",
    "98413": "Indian/Reunion",
    "98414": "Antarctica/DumontDUrville",
    "98415": "Indian/Reunion",
    "986": "Pacific/Wallis",
    "987": "Pacific/Tahiti",
    "98740": "Pacific/Marquesas",
    "98741": "Pacific/Marquesas",
    "98742": "Pacific/Marquesas",
    "98743": "Pacific/Marquesas",
    "98744": "Pacific/Marquesas",
    "98745": "Pacific/Marquesas",
    "98746": "Pacific/Marquesas",
    "98796": "Pacific/Marquesas",
    "98755": "Pacific/Gambier",
    "98799": "Etc/GMT+8",
    "988": "Pacific/Noumea",
    "989": "Etc/GMT+8",
}
"""Beginning of a French postal code or commune code → zone; the longer beginning wins, every other code has Europe/Paris.
Saint-Barthélemy and Saint-Martin have postal codes of Guadeloupe. 984: the southern lands, with a zone for each
district; 989 and 98799: Clipperton, which has no zone of its own in the IANA database."""


def zone_of_code(code: str) -> str:
    """The IANA zone of a French postal code or commune code (five characters)."""
    return next((OVERSEAS[code[:n]] for n in (5, 4, 3) if code[:n] in OVERSEAS), METROPOLITAN)


def zone_of_address(address: dict[str, Any]) -> str | None:
    """The IANA zone of an address, by the most precise part that it has: postal code, commune, overseas country, department
    (`state`). A code of metropolitan France says nothing where the country or the department is overseas (CEDEX and military
    post have codes of their own). None for an address abroad, or with none of these."""
    country = str(address.get("country") or "")
    if is_abroad(country):
        return None
    code = postal_code(str(address.get("postalCode", ""))) or _commune(address)
    territory = territory_of(country) or territory_of(str(address.get("state") or ""))
    if code is not None and (territory is None or zone_of_code(code) != METROPOLITAN):
        return zone_of_code(code)
    return zone_of_code(territory) if territory is not None else None


def _commune(address: dict[str, Any]) -> str | None:
    codes = (
        extension.get("valueCoding", {}).get("code")
        for extension in address.get("extension", ())
        if extension.get("url") == INSEE_CODE
    )
    return next((code for code in codes if isinstance(code, str) and len(code) == 5), None)


def stated_zone(resource: dict[str, Any]) -> ZoneInfo | None:
    """The zone that a resource states; None when it states no existing zone."""
    names = [
        str(extension.get("valueCode"))
        for url in (TIME_ZONE, *sorted(READ_TOO))
        for extension in resource.get("extension", ())
        if extension.get("url") == url
    ]
    return next((zone for zone in map(zone_named, names) if zone is not None), None)


def zone_of(resource: dict[str, Any]) -> ZoneInfo | None:
    """The zone of a place or an agenda: the stated one, else (for a place) the zone of its address; None: not known."""
    address = resource.get("address")
    of_address = zone_of_address(address) if isinstance(address, dict) else None
    return stated_zone(resource) or zone_named(of_address)


def unknown_zones(resource: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The stated zones that do not exist (index of the extension, name). They are refused: events of a place in an unknown
    zone could not be handled."""
    for index, extension in enumerate(resource.get("extension", ())):
        name = extension.get("valueCode")
        if extension.get("url") in (TIME_ZONE, *READ_TOO) and name not in ZONES:
            yield index, str(name)


def zone_issue(resource_type: str, index: int, name: str) -> Issue:
    """The issue for one of `unknown_zones`."""
    return Issue(
        "value",
        f"« {name} » n'est pas un fuseau horaire (base IANA) : par exemple Europe/Paris ou Indian/Reunion.",
        f"“{name}” is no time zone (IANA database): for example Europe/Paris or Indian/Reunion.",
        (f"{resource_type}.extension[{index}].valueCode",),
        details_code="time-zone",
    )
