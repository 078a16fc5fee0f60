"""An appointment is cancelled: what follows is said first, a reason may be given and need not (P16)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.fhir.refusal import CHANGED_MEANWHILE, Refusal, RefusedError
from creneau_web.page import Page, VisitPage
from creneau_web.pages.mine.appointment import acting_for
from creneau_web.visits.model import Visit
from creneau_web.visits.records import REASONS, cancel, cancel_series, series_of
from creneau_web.visits.records import visit as read_visit

router = APIRouter(prefix="/rendez-vous")

BY_RULE = (409, 422)
Scope = Literal["this", "this-and-following", "all"]
SCOPES: tuple[Scope, ...] = ("this", "this-and-following", "all")
"""how much of a series is cancelled"""


@router.get("/{id_}/annuler", response_model=None)
async def ask(page: VisitPage, id_: str) -> HTMLResponse | RedirectResponse:
    """What happens then; too late: until when it was possible, and the telephone."""
    unsent = page.unsent
    return await _show(page, id_, unsent.text("raison"), unsent.text("combien", "this"))


@router.post("/{id_}/annuler", response_model=None)
async def answer(
    page: VisitPage,
    id_: str,
    version: Annotated[str, Form(max_length=60)] = "",
    raison: Annotated[str, Form(max_length=40)] = "",
    combien: Annotated[Scope, Form()] = "this",
) -> HTMLResponse | RedirectResponse:
    """Cancel what was shown; sent twice, it is cancelled once."""
    visit = await read_visit(page.fhir, page.site.directory, id_)
    if visit.status == "cancelled":
        return page.go(f"/rendez-vous/{id_}")
    reason = raison if raison in REASONS else None
    try:
        if combien == "this" or visit.series is None:
            await cancel(page.fhir, id_, version or visit.etag, reason)
        else:
            await cancel_series(page.fhir, id_, version or visit.etag, combien, reason)
    except RefusedError as error:
        if error.refusal.status == CHANGED_MEANWHILE:
            await page.say_next("cancel.changed")
            return page.go(f"/rendez-vous/{id_}")
        if error.refusal.status not in BY_RULE:
            raise
        return await _show(page, id_, raison, combien, error.refusal)
    await page.say_next(_done(visit, combien))
    return page.go(f"/rendez-vous/{id_}")


def _done(visit: Visit, scope: Scope) -> str:
    """Key of what is said. Who withdraws a request is told by no message."""
    if scope != "this":
        return "cancel.done.series"
    return "cancel.done.asked" if visit.asks_practice else "cancel.done"


async def _show(
    page: Page, id_: str, reason: str, scope: str, refusal: Refusal | None = None
) -> HTMLResponse | RedirectResponse:
    """The page with what was chosen. A refusal leaves the form while the visit may still be cancelled: it may be about
    another one of its series."""
    visit = await read_visit(page.fhir, page.site.directory, id_)
    now = page.site.clock.now()
    if not visit.is_live(now):
        return page.go(f"/rendez-vous/{id_}")
    return await page.show_form(
        "mine/cancel.html",
        refusal.status if refusal else 200,
        visit=visit,
        possible=visit.may_still(visit.cancelable_until, now),
        until=visit.cancelable_until.astimezone(visit.zone) if visit.cancelable_until else None,
        reasons=REASONS,
        reason=reason,
        scope=scope,
        series=await series_of(page.fhir, page.site.directory, visit),
        scopes=SCOPES,
        acting=await acting_for(page, visit),
        problem=refusal.text if refusal else None,
    )
