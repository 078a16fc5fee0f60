"""My appointments."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from creneau_web.page import SignedInPage
from creneau_web.visits.records import recent, visits_before, visits_from

router = APIRouter()


@router.get("/mes-rendez-vous", response_class=HTMLResponse)
async def appointments(page: SignedInPage) -> HTMLResponse:
    """What is to come, by date; what is past, the latest first."""
    now = page.site.clock.now()
    begin = recent(now)
    coming = await visits_from(page.fhir, begin)
    past = await visits_before(page.fhir, begin)
    live = [visit for visit in coming if visit.is_live(now)]
    return await page.show(
        "mine/appointments.html",
        coming=live,
        past=[*(visit for visit in reversed(coming) if visit not in live), *past],
    )
