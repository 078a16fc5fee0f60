"""A time is chosen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse

from creneau_web.care.reading import opening_of
from creneau_web.page import CurrentPage
from creneau_web.pages.booking.draft import Draft, keep

router = APIRouter()


@router.post("/soignants/{role}/creneaux")
async def choose(
    page: CurrentPage, role: str, creneau: Annotated[str, Form(max_length=64)]
) -> RedirectResponse:
    """Begin a draft with this slot, and go on to what is missing."""
    professional = await page.site.finding.professional(page.fhir, role)
    slot = (await page.fhir.read("Slot", creneau)).resource
    opening = opening_of(slot, professional.zone)
    draft = Draft(
        role=role,
        slot=opening.slot,
        start=opening.start,
        end=opening.end,
        reason=opening.reason,
        modes=sorted(opening.modes),
    )
    await keep(page, draft)
    return page.go(draft.path)
