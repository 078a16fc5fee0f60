"""One appointment: where, when, and what can be done about it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from creneau_web.page import SignedInPage
from creneau_web.visits.records import visit as read_visit

router = APIRouter()


@router.get("/rendez-vous/{id_}", response_class=HTMLResponse)
async def appointment(page: SignedInPage, id_: str) -> HTMLResponse:
    """The appointment, also as what a confirmed booking comes to."""
    visit = await read_visit(page.fhir, id_)
    return await page.show_form(
        "mine/appointment.html", visit=visit, live=visit.is_live(page.site.clock.now())
    )
