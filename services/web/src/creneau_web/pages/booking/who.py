"""For whom: oneself, somebody whom one represents, or somebody new."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.page import SignedInPage
from creneau_web.pages.booking.draft import keep, load
from creneau_web.pages.booking.step import keep_the_time
from creneau_web.people.model import bookable, own
from creneau_web.people.records import people_of, represented

router = APIRouter()

SOMEBODY_NEW = "autre"


@router.get("/reservation/{id_}/pour-qui", response_class=HTMLResponse)
async def ask(page: SignedInPage, id_: str, erreur: Annotated[str, Query(max_length=1)] = "") -> HTMLResponse:
    """Radios, one already chosen. `erreur`: the form came back without a choice."""
    draft = await load(page, id_)
    people = await people_of(page.fhir)
    professional = await page.site.directory.professional(page.fhir, draft.role)
    return await page.show_form(
        "booking/who.html",
        draft=draft,
        professional=professional,
        people=bookable(people),
        known=own(people) is not None,
        chosen=page.unsent.text("qui", draft.patient or ""),
        problem="who.problem" if erreur else None,
    )


@router.post("/reservation/{id_}/pour-qui", response_model=None)
async def answer(
    page: SignedInPage, id_: str, qui: Annotated[str, Form(max_length=64)] = ""
) -> RedirectResponse:
    """Keep the choice and hold the time for them."""
    draft = await load(page, id_)
    if qui == SOMEBODY_NEW:
        draft.somebody_new = True
        await keep(page, draft)
        return page.go(f"{draft.path}/identite")
    people = bookable(await represented(page.fhir))
    if qui not in {person.id for person in people}:
        return page.go(f"{draft.path}/pour-qui", erreur="1")
    draft.choose(qui)
    await keep(page, draft)
    return await keep_the_time(page, draft)
