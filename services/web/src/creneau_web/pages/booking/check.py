"""One step is left: everything to read once more, each line with a way to change it, and one button."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import Page, SignedInPage
from creneau_web.pages.booking.draft import Draft, keep, load, release
from creneau_web.pages.booking.holding import book, extend
from creneau_web.pages.booking.step import (
    ask_for_whom,
    is_no_longer_theirs,
    keep_the_time,
    lead_away,
    next_step,
)
from creneau_web.people.model import bookable
from creneau_web.people.proxies import person_with_proxies
from creneau_web.people.reach import reach_of
from creneau_web.people.records import represented
from creneau_web.typed import TYPED_MAX
from creneau_web.visits.conflicts import is_own, is_taken
from creneau_web.visits.records import visit

router = APIRouter()

COMMENT_MAX = 500
RUN_OUT = frozenset({"hold-expired", "illegal-transition"})
"""the time is not kept any more: by the clock, or because somebody has given it back"""
TOO_LATE = "change-too-late"
BY_RULE = (409, 422)
Message = Annotated[str, Form(max_length=TYPED_MAX)]
Line = Literal["pour-qui", "coordonnees", "deja", "avec", "ou", "motif"]
"""a line of the recap"""
OTHER_TIME = frozenset({"avec", "ou", "motif"})
"""lines whose change needs another time; the others lead back to the recap"""


@router.get("/reservation/{id_}/verifier", response_model=None)
async def check(page: SignedInPage, id_: str) -> HTMLResponse | RedirectResponse:
    """The recap. What is not ready for it is led to what is missing."""
    draft = await load(page, id_)
    if draft.patient is None or draft.held is None:
        return await next_step(page, draft)
    if draft.held.until <= page.site.clock.now():
        return page.go(f"{draft.path}/pris")
    for address in (
        page.here,
        draft.path,
    ):  # the other buttons' forms are kept at the draft's path
        if unsent := page.unsent_at(address).fields:
            draft.comment = unsent.get("message", [draft.comment])[-1]
            await keep(page, draft)
            await page.forget_unsent(address)
    return await _show(page, draft)


@router.post("/reservation/{id_}/verifier", response_model=None)
async def confirm(
    page: SignedInPage,
    id_: str,
    message: Message = "",
    montre: Annotated[str, Form(max_length=TYPED_MAX)] = "",
) -> RedirectResponse:
    """Book what the recap showed (`montre`); if another tab has made it something else, show that first. Sent twice, it is
    booked once. A message that is too long is kept and said on the page, by a redirect: a page that answered a form itself
    is one to which no browser's way back leads."""
    draft = await load(page, id_)
    draft.comment = message.strip()
    if draft.patient is None or draft.held is None or montre not in ("", draft.recap):
        return await _look_again(page, draft)
    if len(draft.comment) > COMMENT_MAX:
        await keep(page, draft)
        return page.go(f"{draft.path}/verifier")
    try:
        appointment = await book(page, draft)
    except RefusedError as error:
        if draft.moving and error.refusal.code == TOO_LATE:
            draft.moving = draft.settled = None
            await keep(page, draft)
            return page.go(f"{draft.path}/deja")
        if await is_no_longer_theirs(page, draft, error):
            return await ask_for_whom(page, draft)
        run_out = error.refusal.code in RUN_OUT
        if not run_out and not is_taken(error.refusal) and not is_own(error.refusal):
            raise
        draft.held, draft.ran_out = None, run_out
        draft.attempt += 1
        await keep(page, draft)
        return page.go(f"{draft.path}/pris") if run_out else await lead_away(page, draft, error)
    await page.say_next(draft.done)
    return page.go(f"/rendez-vous/{appointment}")


async def _look_again(page: Page, draft: Draft) -> RedirectResponse:
    """Redirects to what comes next when the choice has changed since the recap was shown: in another tab. The next recap
    says why nothing is booked yet."""
    await keep(page, draft)
    following = await next_step(page, draft)
    if following.headers["location"] == f"{draft.path}/verifier":
        await page.say_next("check.again")
    return following


@router.post("/reservation/{id_}/modifier")
async def change(
    page: SignedInPage, id_: str, quoi: Annotated[Line, Form()], message: Message = ""
) -> RedirectResponse:
    """To where a line is changed; the message is kept until one comes back, or chooses another time of this professional."""
    draft = await _load_with(page, id_, message)
    if quoi in OTHER_TIME:
        await release(page, draft)
        return await _to_another_choice(page, draft, quoi)
    if quoi == "coordonnees" and draft.patient is not None:
        return page.go(f"/mes-donnees/{draft.patient}", retour=f"{draft.path}/verifier")
    return page.go(f"{draft.path}/{'deja' if quoi == 'deja' else 'pour-qui'}")


async def _to_another_choice(page: Page, draft: Draft, line: Line) -> RedirectResponse:
    """Redirects to the professional's other reasons, or to a search for others."""
    if line == "motif":
        return page.go(f"/soignants/{draft.role}")
    professional = await page.site.directory.professional(page.fhir, draft.role)
    what = next(iter(professional.specialties), "")
    return page.go("/recherche", quoi=what, ou=professional.place.city if professional.place else "")


@router.post("/reservation/{id_}/garder")
async def keep_longer(page: SignedInPage, id_: str, message: Message = "") -> RedirectResponse:
    """More time to make up one's mind."""
    draft = await _load_with(page, id_, message)
    if draft.held is not None:
        try:
            await extend(page, draft)
        except RefusedError as error:
            if await is_no_longer_theirs(page, draft, error):
                return await ask_for_whom(page, draft)
            if error.refusal.status not in BY_RULE:
                raise
            await page.say_next("check.no_longer")
    return page.go(f"{draft.path}/verifier")


@router.post("/reservation/{id_}/cacher")
async def hide(
    page: SignedInPage, id_: str, cacher: Annotated[str, Form(pattern="^(oui|non)$")], message: Message = ""
) -> RedirectResponse:
    """Whether those who act for the person will see the appointment. It is decided as the time is taken: the time is held
    anew, and the account's own hold gives way to it at once."""
    draft = await _load_with(page, id_, message)
    if draft.moving or draft.held is None:
        return await next_step(page, draft)
    draft.hidden = cacher == "oui"
    draft.held = None
    draft.attempt += 1
    await keep(page, draft)
    return await keep_the_time(page, draft)


@router.post("/reservation/{id_}/abandonner")
async def give_up(
    page: SignedInPage, id_: str, message: Annotated[str | None, Form(max_length=TYPED_MAX)] = None
) -> RedirectResponse:
    """Give the time back and go to choose another one. Other pages have this button too, without a message."""
    draft = await load(page, id_) if message is None else await _load_with(page, id_, message)
    await release(page, draft)
    return page.go(f"/soignants/{draft.role}/creneaux")


async def _load_with(page: Page, id_: str, message: str) -> Draft:
    """The draft, with the message as it stands on the page now."""
    draft = await load(page, id_)
    draft.comment = message.strip()
    await keep(page, draft)
    return draft


def _after(draft: Draft, now: datetime) -> str | None:
    """Key of the sentence on later changes; None if the deadline is over and the practice has to agree first."""
    if not draft.change_deadline:
        return "check.after"
    if draft.start - draft.change_deadline > now:
        return "check.after.until"
    return None if draft.practice_agrees else "check.after.late"


async def _show(page: Page, draft: Draft) -> HTMLResponse | RedirectResponse:
    whom = next((one for one in bookable(await represented(page.fhir)) if one.id == draft.patient), None)
    if whom is None:
        return await ask_for_whom(page, draft)
    professional = await page.site.directory.professional(page.fhir, draft.role)
    person, proxies = await person_with_proxies(
        page.fhir,
        whom.id,
        page.today,
        proxies=whom.oneself and not draft.moving,
    )
    return await page.show_form(
        "booking/check.html",
        draft=draft,
        professional=professional,
        person=person,
        reach=reach_of(person, hidden=draft.hidden, texted=page.site.settings.texted),
        registers="register" in whom.may,
        acting=None if whom.oneself else person,
        proxies=[proxy.name for proxy in proxies if proxy.accepted and not proxy.oneself],
        other=await visit(page.fhir, page.site.directory, draft.moving) if draft.moving else None,
        start=draft.start.astimezone(professional.zone),
        end=draft.end.astimezone(professional.zone),
        until=draft.held.until.astimezone(professional.zone) if draft.held else None,
        after=_after(draft, page.site.clock.now()),
        changeable_until=(draft.start - draft.change_deadline).astimezone(professional.zone)
        if draft.change_deadline
        else None,
        comment_max=COMMENT_MAX,
        problem="check.problem.comment" if len(draft.comment) > COMMENT_MAX else None,
    )
