"""By which clock a place lives: what it says itself, failing that what its French postal code means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from creneau_shared.errors import Issue

TIME_ZONE = "https://creneau.sante.fr/fhir/StructureDefinition/time-zone"
"""Our extension (code: an IANA name) on Location, Schedule, HealthcareService: HL7's own may stand on none of them."""
READ_TOO = frozenset(
    {"http://hl7.org/fhir/StructureDefinition/timezone", "http://hl7.org/fhir/StructureDefinition/tz-code"}
)
"""HL7's extensions, which others write there all the same."""
OVERSEAS = {
    "971": "America/Guadeloupe",
    "972": "America/Martinique",
    "973": "America/Cayenne",
    "974": "Indian/Reunion",
    "975": "America/Miquelon",
    "976": "Indian/Mayotte",
    "97133": "America/St_Barthelemy",
    "97150": "America/Marigot",
    "977": "America/St_Barthelemy",
    "978": "America/Marigot",
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
    "988": "Pacific/Noumea",
}
"""Zone by the beginning of a French postal code, the longer one first; every other code is on Europe/Paris."""
_FRENCH = re.compile(r"(?:F(?:R|RA)?[- ]*)?(\d{5})")
_BLANKS = re.compile(r"[\s\u200b\u200c\u200d\u2060\ufeff.]+")
ZONES = frozenset(available_timezones())


def postal_code(text: str) -> str | None:
    """The five digits of a French postal code in any of its spellings (`97 400`, `F-97400`); None for another."""
    match = _FRENCH.fullmatch(_BLANKS.sub("", text).upper())
    return match[1] if match else None


def zone_of_postal_code(text: str) -> str:
    """The IANA zone of a French postal code."""
    code = postal_code(text) or ""
    return OVERSEAS.get(code) or OVERSEAS.get(code[:3], "Europe/Paris")


def stated_zone(resource: dict[str, Any]) -> ZoneInfo | None:
    """The zone that a resource states; None when it states none that exists."""
    names = [
        str(extension.get("valueCode"))
        for url in (TIME_ZONE, *sorted(READ_TOO))
        for extension in resource.get("extension", ())
        if extension.get("url") == url
    ]
    return next((ZoneInfo(name) for name in names if name in ZONES), None)


def zone_of(resource: dict[str, Any]) -> ZoneInfo | None:
    """The zone of a place or an agenda: the stated one, for a place else that of its postal code; None: not known."""
    address = resource.get("address")
    code = address.get("postalCode") if isinstance(address, dict) else None
    return stated_zone(resource) or (ZoneInfo(zone_of_postal_code(code)) if code else None)


def zone_issues(resource: dict[str, Any]) -> Iterator[Issue]:
    """An issue for each stated zone that there is not: accepted, it would bury what happens there."""
    for index, extension in enumerate(resource.get("extension", ())):
        name = extension.get("valueCode")
        if extension.get("url") in (TIME_ZONE, *READ_TOO) and name not in ZONES:
            yield Issue(
                "value",
                f"« {name} » n'est pas un fuseau horaire (base IANA) : par exemple Europe/Paris ou Indian/Reunion.",
                f"“{name}” is no time zone (IANA database): for example Europe/Paris or Indian/Reunion.",
                (f"{resource['resourceType']}.extension[{index}].valueCode",),
                details_code="time-zone",
            )
