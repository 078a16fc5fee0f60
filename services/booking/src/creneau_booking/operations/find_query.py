"""The Slot search that a call of `$find` stands for: AND between kinds of actor, OR within a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from creneau_booking.operations.references import id_of
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.storage.store import Resource

ACTORS: Mapping[tuple[str, ...], str] = {
    ("practitioner", "practitioner-reference"): "schedule.actor:Practitioner",
    ("location-reference", "location"): "schedule.actor:Location",
    ("service-type-reference", "healthcare-service"): "schedule.actor:HealthcareService",
}
"""Operation parameters → the search parameter that they become."""

ORGANIZATION = "schedule.actor:PractitionerRole.organization"
CODES = {"specialty": "specialty", "visit-type": "service-type", "service-type": "service-type"}

Pairs = list[tuple[str, str]]


def slot_query(given: OperationInput, start: datetime, end: datetime) -> Pairs:
    """The pairs of the search, for slots within `[start, end)`."""
    pairs = [("status", "free"), ("start", f"ge{start.isoformat()}"), ("end", f"le{end.isoformat()}")]
    for names, path in ACTORS.items():
        pairs += _by_reference(given.references(*names), path)
    pairs += _by_reference(given.references("organization"), ORGANIZATION)
    if schedules := [id_of(reference) for reference in given.references("schedule")]:
        pairs.append(("schedule", ",".join(schedules)))
    for name, search_name in CODES.items():
        if codes := given.codes(name):
            pairs.append((search_name, ",".join(codes)))
    if places := given.texts("location-string"):
        pairs.append(("schedule.actor:Location.address", ",".join(places)))
    return pairs


def _by_reference(references: Sequence[Resource], path: str) -> Pairs:
    """Literal references by id, logical ones by identifier."""
    ids = [id_of(reference) for reference in references if "reference" in reference]
    identifiers = [
        f"{identifier.get('system', '')}|{identifier.get('value', '')}"
        for reference in references
        if "reference" not in reference and (identifier := reference.get("identifier"))
    ]
    pairs = []
    if ids:
        pairs.append((path, ",".join(ids)))
    if identifiers:
        pairs.append((f"{path}.identifier", ",".join(identifiers)))
    return pairs
