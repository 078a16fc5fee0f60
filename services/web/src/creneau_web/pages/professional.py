"""One professional: where, how to reach them, what one may come for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.care.model import Opening, Reason
from creneau_web.care.soonest import is_connected, next_openings
from creneau_web.page import CurrentPage

router = APIRouter()

LOOKED_AT = 60
"""free times among which the reasons are looked for"""


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
        reasons=reasons_of(openings),
        first=openings[0] if openings else None,
        connected=connected,
    )


def reasons_of(openings: list[Opening]) -> list[Reason]:
    """What the free times are for, in the order in which they come; each once."""
    found: dict[str, Reason] = {}
    for opening in openings:
        if opening.reason:
            minutes = int((opening.end - opening.start).total_seconds() // 60)
            before = found.get(opening.reason)
            modes = opening.modes | (before.modes if before else frozenset())
            found[opening.reason] = Reason(opening.reason, before.minutes if before else minutes, modes)
    return list(found.values())
