"""A visit by the link of a message, without an account (`Appointment/$open-link`).

The link's token leaves the address at once: it is kept with the session, so that no later page, history or referrer holds
it.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import CurrentPage, Page
from creneau_web.people.records import represented
from creneau_web.sessions.session import BY_LINK, PATIENT, Account
from creneau_web.typed import NAME_MAX, TYPED_MAX, too_long
from creneau_web.visits.by_link import Opened, linked_visit, opened
from creneau_web.visits.records import patient_of, waits_for_answer

router = APIRouter(prefix="/rdv")

TOKEN = re.compile(r"[A-Za-z0-9_-]+")
"""without a bracket or full stop that a mail program has drawn into the link"""
OVER = (404, 410)
RENEWABLE = ("link-blocked", "link-replaced")
"""refusals of links that can be replaced by another one: the visit still stands"""
WRONG = 422


@router.get("/envoye", response_class=HTMLResponse)
async def renewed(page: CurrentPage) -> HTMLResponse:
    """Another link is on its way."""
    return await page.show("by_link/renewed.html")


@router.get("/{token}")
async def arrive(page: CurrentPage, token: str) -> RedirectResponse:
    """Keep the token with the session, and go on without it in the address."""
    found = TOKEN.match(token)
    session = await page.own_session()
    session.content = session.content.model_copy(update={"link": found[0] if found else ""})
    await page.site.sessions.save(session)
    return page.go("/rdv")


@router.get("", response_model=None)
async def show(page: CurrentPage) -> HTMLResponse | RedirectResponse:
    """When and where; one question opens the rest. Whoever has answered it and goes back is led there again."""
    if (visit := _opened_before(page)) is not None:
        return await _to_the_visit(page, visit)
    return await _show(page, page.unsent.problems, 200, page.unsent.text("reponse"))


@router.post("", response_model=None)
async def answer(
    page: CurrentPage, reponse: Annotated[str, Form(max_length=TYPED_MAX)] = ""
) -> HTMLResponse | RedirectResponse:
    """The right answer opens this one appointment for LINK_TOKEN_S: what it waits for first. Sent twice, it does so once."""
    async with page.entering():
        return await _answered(page, reponse)


async def _answered(page: Page, reponse: str) -> HTMLResponse | RedirectResponse:
    if (visit := _opened_before(page)) is not None:
        return await _to_the_visit(page, visit)
    link = page.session.content.link if page.session else None
    if not link:
        return await _over(page, 404)
    problems = too_long({"reponse": reponse}, {"reponse": NAME_MAX})
    if not reponse.strip():
        problems["reponse"] = "link.problem.empty"
    if problems:
        return await _show(page, problems, 422)
    parameters = [{"name": "token", "valueString": link}, {"name": "answer", "valueString": reponse.strip()}]
    try:
        answered = await page.fhir.as_(None).operation("Appointment/$open-link", parameters)
    except RefusedError as error:
        await page.go_on_where_entered()
        if error.refusal.status == WRONG:
            return await _show(page, {"reponse": error.refusal.text}, 422)
        return await _told(page, error)
    given = opened(answered.resource)
    if given is None:
        return await _show(page, {}, 200)
    await _let_in(page, given)
    return await _to_the_visit(page, given.appointment)


def _opened_before(page: Page) -> str | None:
    """The appointment that this session's last link has opened, while its account is there; None while another link waits
    for its answer."""
    account, waits = page.account, page.session is not None and page.session.content.link is not None
    return account.subject if account is not None and account.is_for_one_visit and not waits else None


async def _let_in(page: Page, given: Opened) -> None:
    """Logs in to the one appointment; who has logged in and may answer for it stays so, with what they have begun."""
    if await _is_their_own(page, given.appointment):
        return
    session = await page.own_session()
    session.content = session.content.model_copy(update={"link": None})
    await page.let_in(
        Account(
            subject=given.appointment,
            access_token=given.access_token,
            expires_at=given.expires,
            provider=BY_LINK,
        ),
        "/rdv",
    )


async def _is_their_own(page: Page, appointment: str) -> bool:
    """Whether the visit is that of the person logged in, or of somebody for whom they may answer: not of somebody else at
    the same browser, nor of one whom they may only see, as the link gives more."""
    account = page.account
    if account is None or account.is_for_one_visit or account.role != PATIENT:
        return False
    try:
        patient, acting = await asyncio.gather(patient_of(page.fhir, appointment), represented(page.fhir))
    except RefusedError:
        return False
    return any(one.id == patient and (one.oneself or "book" in one.may) for one in acting)


async def _to_the_visit(page: Page, appointment: str) -> RedirectResponse:
    asked = await waits_for_answer(page.fhir, appointment, page.site.clock.now())
    return page.go(f"/rendez-vous/{appointment}{'/repondre' if asked else ''}")


@router.post("/nouveau-lien", response_model=None)
async def renew(page: CurrentPage) -> HTMLResponse | RedirectResponse:
    """Another link, to whom the first one went; a page that is loaded anew sends no second one."""
    link = page.session.content.link if page.session else None
    if not link:
        return await _over(page, 404)
    parameters = [
        {"name": "token", "valueString": link},
        {"name": "language", "valueCode": page.wording.tag},
    ]
    try:
        await page.fhir.as_(None).operation("Appointment/$renew-link", parameters)
    except RefusedError as error:
        return await _told(page, error)
    return page.go("/rdv/envoye")


async def _show(page: Page, problems: dict[str, str], status: int, answer: str = "") -> HTMLResponse:
    link = page.session.content.link if page.session else None
    if not link:
        return await _over(page, 404)
    try:
        shown = await page.fhir.as_(None).operation(
            "Appointment/$open-link", [{"name": "token", "valueString": link}]
        )
    except RefusedError as error:
        return await _told(page, error)
    visit = linked_visit(shown.resource)
    return await page.show_form("by_link/visit.html", status, visit=visit, answer=answer, problems=problems)


async def _told(page: Page, error: RefusedError) -> HTMLResponse:
    """The page of a link that opens nothing (any more), in the refusal's words."""
    if error.refusal.status in (*OVER, WRONG):
        return await _over(
            page, error.refusal.status, error.refusal.text, renewable=error.refusal.code in RENEWABLE
        )
    raise error


async def _over(page: Page, status: int, text: str = "", *, renewable: bool = False) -> HTMLResponse:
    return await page.show_form("by_link/over.html", status, text=text, renewable=renewable)
