"""Moves an appointment: the same week of times, both times named once more, then one step does it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from creneau_web.care.soonest import nearest_openings
from creneau_web.fhir.refusal import CHANGED_MEANWHILE, RefusedError
from creneau_web.page import Page, VisitPage
from creneau_web.pages.booking.chosen import chosen
from creneau_web.pages.booking.draft import Chosen
from creneau_web.pages.mine.appointment import acting_for, is_by_link, patient_of
from creneau_web.pages.times import Wish, show_week
from creneau_web.people.reach import reach_of
from creneau_web.visits.conflicts import is_own, is_taken, words_of
from creneau_web.visits.model import ASKED, Visit
from creneau_web.visits.records import move
from creneau_web.visits.records import visit as read_visit

router = APIRouter(prefix="/rendez-vous")

BY_RULE = 422
NO_NUMBER = re.compile(r"\D")
"""all of an ETag but its version"""


class OtherTime(Wish):
    """Which week to show for a move: only times of the visit's reason, unless `tous`."""

    tous: bool = False


@router.get("/{id_}/deplacer", response_model=None)
async def choose(
    page: VisitPage, id_: str, wish: Annotated[OtherTime, Query()]
) -> HTMLResponse | RedirectResponse:
    """A week of the same professional's times."""
    return await _week(page, id_, wish)


@router.post("/{id_}/deplacer")
async def choose_time(
    page: VisitPage, id_: str, creneau: Annotated[str, Form(max_length=64)]
) -> RedirectResponse:
    """A time is chosen; nothing is moved yet."""
    return page.go(f"/rendez-vous/{id_}/deplacer/verifier", creneau=creneau)


@router.get("/{id_}/deplacer/verifier", response_model=None)
async def check(
    page: VisitPage, id_: str, creneau: Annotated[str, Query(max_length=64)]
) -> HTMLResponse | RedirectResponse:
    """Both times, the old and the new."""
    return await _check(page, id_, creneau, None, 200)


@router.post("/{id_}/deplacer/verifier", response_model=None)
async def confirm(
    page: VisitPage,
    id_: str,
    creneau: Annotated[str, Form(max_length=64)],
    version: Annotated[str, Form(max_length=60)] = "",
) -> HTMLResponse | RedirectResponse:
    """Move it, to a time of the professional whom the check named. Sent twice, it is moved once."""
    visit = await read_visit(page.fhir, page.site.directory, id_)
    await _chosen(page, visit, creneau)
    key = f"move-{id_}-{NO_NUMBER.sub('', version)}-{creneau}"
    try:
        status = await move(page.fhir, id_, creneau, key, etag=version or None)
    except RefusedError as error:
        if is_taken(error.refusal):
            return page.go(f"/rendez-vous/{id_}/deplacer/pris", creneau=creneau)
        if error.refusal.status == CHANGED_MEANWHILE:
            await page.say_next("cancel.changed")
            return page.go(f"/rendez-vous/{id_}/deplacer/verifier", creneau=creneau)
        if error.refusal.status != BY_RULE and not is_own(error.refusal):
            raise
        return await _check(page, id_, creneau, words_of(error.refusal), error.refusal.status)
    await page.say_next("done.asked" if status == ASKED else "move.done")
    return page.go(f"/rendez-vous/{id_}")


@router.get("/{id_}/deplacer/pris", response_class=HTMLResponse)
async def taken(page: VisitPage, id_: str, creneau: Annotated[str, Query(max_length=64)]) -> HTMLResponse:
    """Somebody was faster (P7): the three nearest times; the appointment stands as it was."""
    visit = await read_visit(page.fhir, page.site.directory, id_)
    lost = await _chosen(page, visit, creneau)
    now = page.site.clock.now()
    who = visit.professional
    return await page.show_form(
        "mine/move_taken.html",
        visit=visit,
        acting=await acting_for(page, visit),
        start=lost.start,
        nearest=await nearest_openings(page.fhir, who, lost.start, now) if who else [],
    )


async def _week(page: Page, id_: str, wish: OtherTime) -> HTMLResponse | RedirectResponse:
    visit = await read_visit(page.fhir, page.site.directory, id_)
    if not _is_movable(page, visit) or visit.professional is None:
        return page.go(f"/rendez-vous/{id_}")
    if not wish.tous:
        wish.motif = visit.reason or ""
    return await show_week(
        page,
        visit.professional,
        wish,
        "mine/move.html",
        visit=visit,
        action=f"/rendez-vous/{id_}/deplacer",
        acting=await acting_for(page, visit),
    )


async def _check(
    page: Page, id_: str, slot: str, problem: str | None, status: int
) -> HTMLResponse | RedirectResponse:
    visit = await read_visit(page.fhir, page.site.directory, id_)
    if not _is_movable(page, visit):
        return page.go(f"/rendez-vous/{id_}")
    if visit.slot == slot:
        return page.go(f"/rendez-vous/{id_}")  # it is done already
    whom = await patient_of(page, visit)
    return await page.show_form(
        "mine/move_check.html",
        status,
        visit=visit,
        chosen=await _chosen(page, visit, slot),
        acting=whom.name if whom.acting else None,
        by_link=is_by_link(page),
        reach=reach_of(whom.person, hidden=visit.hidden, texted=page.site.settings.texted),
        problem=problem,
    )


async def _chosen(page: Page, visit: Visit, slot: str) -> Chosen:
    """Reads a time; 404 if it is somebody else's: a visit stays with its professional."""
    if visit.professional is None:
        raise HTTPException(404)
    return await chosen(page, visit.professional, slot)


def _is_movable(page: Page, visit: Visit) -> bool:
    return visit.may_still(visit.reschedulable_until, page.site.clock.now())
