"""A rule forbids this time for this person: what it says, and the ways that are left."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.page import SignedInPage
from creneau_web.pages.booking.draft import acting_for, load
from creneau_web.pages.booking.step import next_step

router = APIRouter()


@router.get("/reservation/{id_}/impossible", response_model=None)
async def against(page: SignedInPage, id_: str) -> HTMLResponse | RedirectResponse:
    """Another time, another person, or the telephone; what was typed is kept."""
    draft = await load(page, id_)
    if draft.against is None:
        return await next_step(page, draft)
    professional = await page.site.directory.professional(page.fhir, draft.role)
    return await page.show(
        "booking/against.html",
        draft=draft,
        professional=professional,
        start=draft.start.astimezone(professional.zone),
        acting=await acting_for(page, draft),
    )
