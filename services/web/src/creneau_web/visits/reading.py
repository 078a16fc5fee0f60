"""From an Appointment to what a page shows of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from creneau_web.care.model import PARIS, Professional
from creneau_web.care.reading import VISIT
from creneau_web.fhir.values import codes, extension, first_text, instant
from creneau_web.visits.model import Visit

CANCELABLE = "https://creneau.sante.fr/fhir/StructureDefinition/cancelable-until"
RESCHEDULABLE = "https://creneau.sante.fr/fhir/StructureDefinition/reschedulable-until"

WAITING = "https://creneau.sante.fr/fhir/StructureDefinition/waiting-since"


def visit_of(
    appointment: Mapping[str, Any], professionals: Mapping[str, Professional], etag: str | None = None
) -> Visit:
    """One Appointment; `professionals`: by the id of the PractitionerRole, and of the Practitioner."""
    actors = [p.get("actor", {}) for p in appointment.get("participant", ())]
    references = [str(actor.get("reference", "")) for actor in actors]
    named = [*ids(references, "PractitionerRole"), *ids(references, "Practitioner")]
    professional = next((professionals[id_] for id_ in named if id_ in professionals), None)
    zone = professional.zone if professional else PARIS
    services = appointment.get("serviceType", ())
    slots = ids([s.get("reference", "") for s in appointment.get("slot", ())], "Slot")
    version = appointment.get("meta", {}).get("versionId")
    return Visit(
        id=appointment["id"],
        status=appointment["status"],
        start=instant(appointment["start"]).astimezone(zone),
        end=instant(appointment["end"]).astimezone(zone),
        patient=next(iter(ids(references, "Patient")), None),
        patient_name=_display(actors, "Patient"),
        professional=professional,
        reason=first_text(services),
        modes=frozenset(codes(services, VISIT)),
        comment=appointment.get("comment"),
        instructions=appointment.get("patientInstruction"),
        slot=next(iter(slots), None),
        etag=etag or (f'W/"{version}"' if version else None),
        cancelable_until=_instant(appointment, CANCELABLE),
        reschedulable_until=_instant(appointment, RESCHEDULABLE),
        professional_name=_display(actors, "Practitioner"),
        place_name=_display(actors, "Location"),
        updated=instant(appointment["meta"]["lastUpdated"])
        if "lastUpdated" in appointment.get("meta", {})
        else None,
        offered=appointment["status"] == "pending" and extension(appointment, WAITING) is not None,
        sequence=max(0, int(version or 1) - 1) if str(version or "1").isdigit() else 0,
    )


def was_only_held(appointment: Mapping[str, Any]) -> bool:
    """Whether a time was kept while somebody made up their mind, and given back: those with whom it would have been never
    came to more than tentative (Argonaut's states: a hold that is released is cancelled/tentative)."""
    others = [
        p for p in appointment.get("participant", ())
        if not str(p.get("actor", {}).get("reference", "")).startswith("Patient/")
    ]  # fmt: skip
    return appointment["status"] == "cancelled" and any(p.get("status") == "tentative" for p in others)


def ids(references: Iterable[str], kind: str) -> list[str]:
    """The ids of the references to one type."""
    return [r.partition("/")[2] for r in references if r.startswith(f"{kind}/")]


def _display(actors: Iterable[Mapping[str, Any]], kind: str) -> str | None:
    return next(
        (
            a["display"]
            for a in actors
            if str(a.get("reference", "")).startswith(f"{kind}/") and a.get("display")
        ),
        None,
    )


def _instant(appointment: Mapping[str, Any], url: str) -> datetime | None:
    found = extension(appointment, url)
    return instant(found["valueInstant"]) if found and "valueInstant" in found else None
