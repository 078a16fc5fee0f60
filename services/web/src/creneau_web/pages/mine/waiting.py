"""The waiting list: joining it, and answering what it offers, one button each (P15)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from secrets import token_hex
from typing import Annotated, TypedDict

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from creneau_web.care.agenda import practice_agrees, slot_and_agenda
from creneau_web.care.model import PARIS, Professional
from creneau_web.fhir.refusal import CHANGED_MEANWHILE, RefusedError
from creneau_web.page import Page, SignInNeededError, VisitPage
from creneau_web.pages.mine.appointment import acting_for, is_by_link, patient_of
from creneau_web.people.model import Person, bookable
from creneau_web.people.reach import Reach, reach_of
from creneau_web.people.records import people_of
from creneau_web.typed import TYPED_MAX
from creneau_web.visits.conflicts import words_of
from creneau_web.visits.model import Visit
from creneau_web.visits.records import visit as read_visit
from creneau_web.visits.waiting import PARTS, Waiting, answer, join, join_for_earlier, waiting

router = APIRouter(prefix="/liste-attente")

ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_WRITTEN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
"""a date as people write it, where the browser has no field for one"""
BY_RULE = (403, 409, 422)
ANSWERS = {"accepter": "booked", "refuser": "waitlist", "quitter": "cancelled"}
"""button → status that it gives to the request"""
_JOINED: Mapping[Reach, str] = {"reached": "waiting.joined", "hidden": "waiting.joined.hidden"}
"""what is said once somebody waits, by whether messages reach them"""


class Wanted(BaseModel):
    """What is waited for: earlier than a visit, or any time of a professional."""

    visite: str = Field("", alias="rendez-vous", max_length=64)
    soignant: str = Field("", max_length=64)


class Wish(Wanted):
    """For whom, at which times of day, until when."""

    qui: str = Field("", max_length=64)
    moment: list[str] = Field(default_factory=list, max_length=3)
    jusqu_au: str = Field("", max_length=TYPED_MAX)
    cle: str = Field("", max_length=80)


class _Said(TypedDict):
    times: list[str]
    until: date | None
    key: str


@router.get("", response_model=None)
async def ask(page: VisitPage, wanted: Annotated[Wanted, Query()]) -> HTMLResponse | RedirectResponse:
    """What one waits for is said before one joins."""
    wish = page.unsent.read(Wish) or Wish.model_validate(wanted.model_dump(by_alias=True))
    return await _ask(page, wish, page.unsent.problems, 200)


@router.post("", response_model=None)
async def join_list(page: VisitPage, wish: Annotated[Wish, Form()]) -> HTMLResponse | RedirectResponse:
    """Join; sent twice, it is one request."""
    professional, visit, people = await _about(page, wish)
    if professional is None:
        return page.go("/")
    if not visit and wish.qui not in {person.id for person in people}:
        return await _ask(page, wish, {"qui": "waiting.problem.who"}, 422)
    until, problem = _until(wish, page.site.clock.now().astimezone(professional.zone).date())
    if problem:
        return await _ask(page, wish, {"jusqu_au": problem}, 422)
    said: _Said = {"times": wish.moment, "until": until, "key": wish.cle}
    try:
        if visit:
            await join_for_earlier(page.fhir, visit.id, **said)
        else:
            await join(page.fhir, wish.qui, professional, **said)
    except RefusedError as error:
        if error.refusal.status not in BY_RULE:
            raise
        return await _ask(page, wish, {_field(error): error.refusal.text}, error.refusal.status)
    person = next((one for one in people if one.id == (visit.patient if visit else wish.qui)), None)
    reach = reach_of(person, hidden=visit is not None and visit.hidden, texted=page.site.settings.texted)
    joined = _JOINED.get(reach, "waiting.joined.untold")
    is_other = reach == "reached" and person is not None and not person.oneself
    await page.say_next("waiting.joined.other" if is_other else joined)
    return page.go(f"/rendez-vous/{visit.id}" if visit else "/mes-rendez-vous")


@router.get("/{id_}", response_model=None)
async def show(page: VisitPage, id_: str) -> HTMLResponse | RedirectResponse:
    """What is waited for; what is offered, until when, and the two answers."""
    return await _show(page, id_, None, 200)


@router.post("/{id_}/{how}", response_model=None)
async def respond(
    page: VisitPage, id_: str, how: str, version: Annotated[str, Form(max_length=60)] = ""
) -> HTMLResponse | RedirectResponse:
    """Accept, refuse or leave what was shown; sent twice, it is answered once. What has changed meanwhile is shown first, and
    what has ended is said."""
    if how not in ANSWERS or ID.fullmatch(id_) is None:
        return page.go("/mes-rendez-vous")
    status = ANSWERS[how]
    found = await waiting(page.fhir, id_)
    if found.etag == version and _may(found, how):
        try:
            found = await answer(page.fhir, found, status)
        except RefusedError as error:
            if error.refusal.status == CHANGED_MEANWHILE:
                found = await waiting(page.fhir, id_)
            elif error.refusal.status in BY_RULE:
                return await _show(page, id_, words_of(error.refusal), error.refusal.status)
            else:
                raise
    if found.is_answered(status):
        return await _answered(page, found, how)
    if _may(found, how):
        return await _show(page, id_, "cancel.changed", 409)
    await page.say_next("waiting.over")
    return page.go(f"/rendez-vous/{id_}" if found.start else f"/liste-attente/{id_}")


def _may(found: Waiting, how: str) -> bool:
    """Whether there is something to answer: an offer, or a request to leave the list."""
    return found.is_offer or (how == "quitter" and found.waits)


async def _answered(page: Page, found: Waiting, how: str) -> RedirectResponse:
    """Says what stands now, and leads to it."""
    asked = how == "accepter" and found.status == "pending"
    await page.say_next("done.asked" if asked else f"waiting.done.{how}")
    if how == "accepter":
        return page.go(f"/rendez-vous/{found.id}")
    stays = how == "refuser" or is_by_link(page)
    return page.go(f"/liste-attente/{found.id}" if stays else "/mes-rendez-vous")


async def whom_of(page: Page, wish: Waiting) -> str | None:
    """Name of the professional waited for. A request names one, is for something earlier than a visit, or names only an
    agenda or kind of care (None)."""
    if wish.whom or (wish.role is None and wish.replaces is None):
        return wish.whom
    try:
        if wish.role is None:
            return (await read_visit(page.fhir, page.site.directory, str(wish.replaces))).with_whom
        return (await page.site.directory.professional(page.fhir, wish.role)).name
    except RefusedError:
        return None


async def _about(page: Page, wanted: Wanted) -> tuple[Professional | None, Visit | None, list[Person]]:
    """The professional, the visit that would be given up, and the people one may ask for."""
    if is_by_link(page) and not wanted.visite:
        raise SignInNeededError(page.here)
    people = [] if is_by_link(page) else bookable(await people_of(page.fhir))
    if wanted.visite and ID.fullmatch(wanted.visite):
        visit = await read_visit(page.fhir, page.site.directory, wanted.visite)
        return visit.professional, visit, people
    if wanted.soignant and ID.fullmatch(wanted.soignant):
        return await page.site.directory.professional(page.fhir, wanted.soignant), None, people
    return None, None, people


def _until(wish: Wish, today: date) -> tuple[date | None, str | None]:
    """The last day that will do, and the key of what is wrong with it."""
    said = wish.jusqu_au.strip()
    try:
        until = _day(said) if said else None
    except ValueError:
        return None, "waiting.problem.date"
    return until, "waiting.problem.past" if until is not None and until < today else None


def _day(said: str) -> date:
    """Reads a date, or raises ValueError."""
    written = _WRITTEN.fullmatch(said)
    if written is None:
        return date.fromisoformat(said)
    day, month, year = (int(part) for part in written.groups())
    return date(year, month, day)


def _field(error: RefusedError) -> str:
    """The field that a refusal is about: the day, where the period is what cannot be; else the whole form."""
    return "jusqu_au" if any("requestedPeriod" in one for one in error.refusal.expressions) else "wish"


async def _ask(
    page: Page, wish: Wish, problems: Mapping[str, str], status: int
) -> HTMLResponse | RedirectResponse:
    professional, visit, people = await _about(page, wish)
    if professional is None:
        return page.go("/")
    return await page.show_form(
        "mine/waiting_join.html",
        status,
        professional=professional,
        visit=visit,
        people=people,
        may=is_by_link(page) or (visit.patient if visit else "") in {"", *(person.id for person in people)},
        parts=PARTS,
        acting=await acting_for(page, visit) if visit else None,
        wish=wish,
        fresh=token_hex(16),
        problems=problems,
    )


async def _show(page: Page, id_: str, problem: str | None, status: int) -> HTMLResponse | RedirectResponse:
    found = await waiting(page.fhir, id_)
    if not found.waits and found.start:
        return page.go(f"/rendez-vous/{id_}")
    visit = await read_visit(page.fhir, page.site.directory, id_) if found.is_offer else None
    asks_practice = visit is not None and await _asks_practice(page, found, visit)
    patient = await patient_of(page, visit) if visit is not None else None
    acting = patient.name if patient is not None and patient.acting else None
    if visit is None and not is_by_link(page):
        acting = await _represented_name(page, found)
    zone = visit.zone if visit else PARIS
    return await page.show_form(
        "mine/waiting.html",
        status,
        wish=found,
        whom=await whom_of(page, found),
        visit=visit,
        asks_practice=asks_practice,
        acting=acting,
        reach=reach_of(patient.person, hidden=visit.hidden, texted=page.site.settings.texted)
        if patient and visit
        else None,
        until=found.until.astimezone(zone) if found.until else None,
        since=found.since.astimezone(PARIS) if found.since else None,
        by_link=is_by_link(page),
        problem=problem,
    )


async def _represented_name(page: Page, wish: Waiting) -> str | None:
    """The patient's name, if it is somebody whom the account represents."""
    people = await people_of(page.fhir)
    return next((one.name for one in people if one.id == wish.patient and not one.oneself), None)


async def _asks_practice(page: Page, wish: Waiting, offered: Visit) -> bool:
    """Whether the practice has still to agree to what is offered, once it is accepted."""
    if wish.practice_agreed or offered.slot is None:
        return False
    found = await slot_and_agenda(page.fhir, offered.slot)
    return found is not None and practice_agrees(found[1])
