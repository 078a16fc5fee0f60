"""Makes Locations from files: an address, a commune, a position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from creneau_directory.domain.communes import is_commune_code
from creneau_directory.domain.ror.urls import EXTENSION
from creneau_directory.loading.nos import COMMUNE
from creneau_french.communes import communes

_INSEE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"


def concept(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept of one code."""
    return {"coding": [{"system": system, "code": code}]}


def a_place(
    id_: str,
    *,
    name: str,
    lines: Sequence[str],
    town: str,
    postal: str,
    commune: str,
    country: str,
    organization: str,
    telecom: Sequence[Mapping[str, Any]] = (),
    source: str,
    position: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """A Location. Without a position of its own it gets that of its commune, marked as not reliable."""
    address: dict[str, Any] = {}
    code = {"system": COMMUNE, "code": commune}
    if commune and is_commune_code(commune):
        address["extension"] = [{"url": _INSEE, "valueCoding": code}]
    if lines:
        address["line"] = list(lines)
    texts = {"city": town, "postalCode": postal, "country": country}
    address |= {element: text for element, text in texts.items() if text}
    place: dict[str, Any] = {"resourceType": "Location", "id": id_, "meta": {"source": source}}
    if "extension" in address:
        place["extension"] = [
            {"url": f"{EXTENSION}ror-commune-cog", "valueCodeableConcept": {"coding": [code]}}
        ]
    place |= {"status": "active", "name": name}
    if telecom:
        place["telecom"] = list(telecom)
    if address:
        place["address"] = address
    known = communes().get(commune)
    found = position or (known.position if known else None)
    if found is not None:
        latitude, longitude = found
        where: dict[str, Any] = {"longitude": round(longitude, 6), "latitude": round(latitude, 6)}
        if not position:  # the middle of the commune
            unsure = {"url": f"{EXTENSION}ror-coordinate-reliability", "valueBoolean": False}
            where = {"extension": [unsure], **where}
        place["position"] = where
    place["managingOrganization"] = {"reference": f"Organization/{organization}"}
    return place
