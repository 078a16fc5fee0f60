"""Reads the time that a form names anew: only of the professional whom the page showed."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from creneau_web.care.agenda import change_deadline, is_of, practice_agrees, slot_and_agenda
from creneau_web.care.model import Professional
from creneau_web.care.reading import opening_of
from creneau_web.page import Page
from creneau_web.pages.booking.draft import Chosen


async def chosen(page: Page, professional: Professional, slot: str) -> Chosen:
    """Reads a slot; 404 if it does not exist or is another agenda's: what the recap shows must be what is booked, whoever
    made the form."""
    found = await slot_and_agenda(page.fhir, slot)
    if found is None:
        raise HTTPException(404)
    resource, agenda = found
    if not await is_of(page.fhir, agenda, professional):
        raise HTTPException(404)
    opening = opening_of(resource, professional.zone)
    return Chosen(
        slot=opening.slot,
        start=opening.start,
        end=opening.end,
        reason=opening.reason,
        modes=sorted(opening.modes),
        services=resource.get("serviceType", []),
        in_group=opening.places is not None,
        practice_agrees=practice_agrees(agenda),
        change_deadline=change_deadline(agenda),
    )
