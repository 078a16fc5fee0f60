"""The time that a form names: read anew, and only of the professional whom the page showed."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from creneau_web.care.model import Professional
from creneau_web.care.reading import opening_of
from creneau_web.fhir.values import entries, extension
from creneau_web.page import Page
from creneau_web.pages.booking.draft import Chosen

AGREES = "https://creneau.sante.fr/fhir/StructureDefinition/schedule-confirmation-required"


async def chosen(page: Page, professional: Professional, slot: str) -> Chosen:
    """404 for a slot that is not there, or of another agenda: what is summed up before it is confirmed must be what is
    booked, whoever made the form."""
    query = [("_id", slot), ("_include", "Slot:schedule"), ("_total", "none")]
    bundle = await page.fhir.search("Slot", query)
    resource = next(entries(bundle, "Slot"), None)
    agenda = next(entries(bundle, "Schedule"), None)
    if resource is None or agenda is None:
        raise HTTPException(404)
    opening = opening_of(resource, professional.zone)
    actors = {actor.get("reference") for actor in agenda.get("actor", ())}
    if f"PractitionerRole/{professional.id}" not in actors:
        raise HTTPException(404)
    return Chosen(
        slot=opening.slot,
        start=opening.start,
        end=opening.end,
        reason=opening.reason,
        modes=sorted(opening.modes),
        services=resource.get("serviceType", []),
        in_group=opening.places is not None,
        practice_agrees=(extension(agenda, AGREES) or {}).get("valueBoolean") is True,
    )
