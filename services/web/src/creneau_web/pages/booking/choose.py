"""A time is chosen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse

from creneau_web.page import CurrentPage
from creneau_web.pages.booking.chosen import chosen
from creneau_web.pages.booking.draft import Draft, keep, message_begun

router = APIRouter()


@router.post("/soignants/{role}/creneaux")
async def choose(
    page: CurrentPage, role: str, creneau: Annotated[str, Form(max_length=64)]
) -> RedirectResponse:
    """Begin a draft with this slot, and go on to what is missing."""
    professional = await page.site.directory.professional(page.fhir, role)
    comment = await message_begun(page, role)
    draft = Draft(role=role, comment=comment, **dict(await chosen(page, professional, creneau)))
    await keep(page, draft)
    return page.go(draft.path)
