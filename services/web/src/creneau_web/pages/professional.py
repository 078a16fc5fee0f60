"""One professional: where, how to reach them, what one may come for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.care.reasons import LOOKED_AT
from creneau_web.care.soonest import is_connected, next_openings
from creneau_web.page import CurrentPage

router = APIRouter()

FROM_REGULATION = frozenset({"sas", "sas-preprod"})
"""what the regulation of unscheduled care adds to the address of an agenda (`origin`)"""


@router.get("/soignants/{role}", response_model=None)
async def professional(
    page: CurrentPage, role: str, origin: Annotated[str, Query(max_length=40)] = ""
) -> HTMLResponse | RedirectResponse:
    """The page of a professional, with the reasons that have free times and how to call. Whoever comes from the regulation
    logs in first, at Pro Santé Connect where that is offered (SAS, « Redirection »)."""
    if origin in FROM_REGULATION and page.account is None:
        if "psc" in page.site.login.offered:
            return page.go("/auth/connexion", par="psc", retour=page.here)
        return page.go("/connexion", retour=page.here)
    found = await page.site.directory.professional(page.fhir, role)
    openings = await next_openings(page.fhir, found, page.site.clock.now(), LOOKED_AT)
    connected = bool(openings) or await is_connected(page.fhir, found)
    return await page.show(
        "professional.html",
        professional=found,
        reasons=await page.site.reasons.of(page.fhir, found, openings),
        first=openings[0] if openings else None,
        connected=connected,
    )
