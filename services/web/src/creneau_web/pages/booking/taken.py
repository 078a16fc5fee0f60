"""Somebody was faster, or the time to make up one's mind has run out: the nearest times, one action away."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.care.soonest import nearest_openings
from creneau_web.page import SignedInPage
from creneau_web.pages.booking.chosen import chosen
from creneau_web.pages.booking.draft import acting_for, keep, load
from creneau_web.pages.booking.step import next_step

router = APIRouter()


@router.get("/reservation/{id_}/pris", response_class=HTMLResponse)
async def taken(page: SignedInPage, id_: str) -> HTMLResponse:
    """Names the time that was lost and offers the three nearest; what was typed is kept."""
    draft = await load(page, id_)
    professional = await page.site.directory.professional(page.fhir, draft.role)
    now = page.site.clock.now()
    ran_out = draft.ran_out or (draft.held is not None and draft.held.until <= now)
    nearest = await nearest_openings(page.fhir, professional, draft.start, now)
    return await page.show_form(
        "booking/taken.html",
        draft=draft,
        professional=professional,
        ran_out=ran_out,
        start=draft.start.astimezone(professional.zone),
        nearest=nearest,
        acting=await acting_for(page, draft),
    )


@router.post("/reservation/{id_}/pris")
async def choose_another(
    page: SignedInPage, id_: str, creneau: Annotated[str, Form(max_length=64)]
) -> RedirectResponse:
    """Another slot for the same draft."""
    draft = await load(page, id_)
    professional = await page.site.directory.professional(page.fhir, draft.role)
    draft = draft.model_copy(update=dict(await chosen(page, professional, creneau)))
    draft.held, draft.ran_out = None, False
    draft.attempt += 1
    await keep(page, draft)
    return await next_step(page, draft)
