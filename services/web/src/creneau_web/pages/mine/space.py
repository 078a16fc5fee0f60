"""The way to everything that is one's own."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from creneau_web.page import SignedInPage
from creneau_web.people.model import own
from creneau_web.people.records import people_of

router = APIRouter()


@router.get("/mon-espace", response_class=HTMLResponse)
async def space(page: SignedInPage) -> HTMLResponse:
    """Appointments, relatives, data, messages."""
    return await page.show("mine/space.html", oneself=own(await people_of(page.fhir)))
