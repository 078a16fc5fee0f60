"""Another appointment is near: keep both, or let the new time take the place of the other."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.page import SignedInPage
from creneau_web.pages.booking.draft import acting_for, keep, load
from creneau_web.pages.booking.step import near_to, next_step

router = APIRouter()

REPLACE, KEEP = "remplacer", "garder"


@router.get("/reservation/{id_}/deja", response_model=None)
async def ask(page: SignedInPage, id_: str) -> HTMLResponse | RedirectResponse:
    """Names both times; nothing is chosen beforehand, and nothing is refused."""
    draft = await load(page, id_)
    other = None if draft.held is None else await near_to(page, draft)
    if other is None:
        return await next_step(page, draft)
    professional = await page.site.directory.professional(page.fhir, draft.role)
    until = other.reschedulable_until
    return await page.show_form(
        "booking/beside.html",
        draft=draft,
        professional=professional,
        other=other,
        acting=await acting_for(page, draft),
        too_late=until is not None and until <= page.site.clock.now(),
    )


@router.post("/reservation/{id_}/deja", response_model=None)
async def answer(
    page: SignedInPage, id_: str, choix: Annotated[str, Form(pattern=f"^({REPLACE}|{KEEP})$")]
) -> RedirectResponse:
    """Keep the answer with the draft; nothing is moved before the check is confirmed. What is to be moved stays hidden, or
    seen, so the time is held as it is: anew, and the account's own hold gives way at once."""
    draft = await load(page, id_)
    other = await near_to(page, draft)
    draft.moving = other.id if other is not None and choix == REPLACE else None
    draft.settled = draft.wish
    if draft.moving and other is not None and other.hidden != draft.hidden:
        draft.hidden, draft.held = other.hidden, None
        draft.attempt += 1
    await keep(page, draft)
    return await next_step(page, draft)
