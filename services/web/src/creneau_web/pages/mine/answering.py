"""Answers what a practice proposes: another time, or a visit that it has written down (HL7's renegotiation)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import Page, VisitPage
from creneau_web.pages.mine.appointment import acting_for, is_by_link
from creneau_web.visits.conflicts import words_of
from creneau_web.visits.model import Visit
from creneau_web.visits.records import answer_for
from creneau_web.visits.records import visit as read_visit

router = APIRouter(prefix="/rendez-vous")

Answer = Literal["accepter", "garder", "refuser"]
BY_RULE = (403, 409, 412, 422)


@router.get("/{id_}/repondre", response_model=None)
async def ask(page: VisitPage, id_: str) -> HTMLResponse | RedirectResponse:
    """Both times, and what each answer does."""
    return await _show(page, id_, None, 200)


@router.post("/{id_}/repondre", response_model=None)
async def answer(
    page: VisitPage,
    id_: str,
    reponse: Annotated[Answer, Form()],
    version: Annotated[str, Form(max_length=60)] = "",
) -> HTMLResponse | RedirectResponse:
    """Take the other time, keep the one that stands, or give the visit up. `version`: of the visit that was shown; what has
    changed meanwhile is shown first."""
    visit = await _asked(page, id_)
    if visit is None:
        return page.go(f"/rendez-vous/{id_}")
    if version != visit.etag:
        return await _show(page, id_, "answer.changed", 409)
    try:
        await answer_for(page.fhir, visit, *_said(visit, reponse))
    except RefusedError as error:
        if error.refusal.status not in BY_RULE:
            raise
        return await _show(page, id_, words_of(error.refusal), error.refusal.status)
    await page.say_next(f"answer.done.{reponse}")
    return page.go(f"/rendez-vous/{id_}")


def _said(visit: Visit, answer: Answer) -> tuple[str, tuple[datetime, datetime] | None]:
    """The answer in FHIR's words, and about which time."""
    if answer == "refuser":
        return "declined", None
    if answer == "garder":
        return "accepted", (visit.start, visit.end)
    return "accepted", (visit.other_time.start, visit.other_time.end) if visit.other_time else None


async def _asked(page: Page, id_: str) -> Visit | None:
    """The appointment, if its practice waits for the patient's answer to it."""
    visit = await read_visit(page.fhir, page.site.directory, id_)
    return visit if visit.waits_for_answer(page.site.clock.now()) and not visit.offered else None


async def _show(page: Page, id_: str, problem: str | None, status: int) -> HTMLResponse | RedirectResponse:
    visit = await _asked(page, id_)
    if visit is None:
        return page.go(f"/rendez-vous/{id_}")
    return await page.show_form(
        "mine/answer.html",
        status,
        visit=visit,
        moment=visit.other_time.start if visit.other_time else visit.start,
        passed=visit.other_time is not None and visit.standing(page.site.clock.now()) is None,
        by_link=is_by_link(page),
        acting=await acting_for(page, visit),
        problem=problem,
    )
