"""Booking without an account: a one-time code to an e-mail address or a telephone (`$send-code`, `$verify-code`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_shared.security.contact_accounts import proven_contact
from creneau_web.fhir.client import Resource
from creneau_web.fhir.refusal import RefusedError
from creneau_web.fhir.values import instant
from creneau_web.page import CurrentPage, Page, local_path
from creneau_web.pages.sign_in import let_in
from creneau_web.sessions.session import Account, CodeSent
from creneau_web.typed import CODE_MAX, EMAIL_MAX, TYPED_MAX, too_long

router = APIRouter(prefix="/connexion/code")

SHOWN_BESIDE_THE_FIELD = frozenset({400, 422, 429, 501, 503})
ON_THE_WAY = timedelta(seconds=10)
"""longest that the answer to `$send-code` takes in life"""


@router.get("", response_model=None)
async def ask(
    page: CurrentPage, retour: Annotated[str, Query(max_length=2000)] = "/"
) -> HTMLResponse | RedirectResponse:
    """One field: where the code is to go; the other ways to log in where no codes are sent."""
    if not page.site.settings.sends_codes:
        return page.go("/connexion", retour=local_path(retour))
    unsent = page.unsent
    back, contact = local_path(unsent.text("retour", retour)), unsent.text("contact")
    return await page.show_form("sign_in/contact.html", back=back, contact=contact, problems=unsent.problems)


@router.post("", response_model=None)
async def send(
    page: CurrentPage,
    contact: Annotated[str, Form(max_length=TYPED_MAX)] = "",
    retour: Annotated[str, Form(max_length=2000)] = "/",
) -> HTMLResponse | RedirectResponse:
    """Have a code sent; the same page with the sentence of the refusal where it was not."""
    back, given = local_path(retour), contact.strip()
    system: Literal["email", "phone"] = "email" if "@" in given else "phone"
    problems = too_long({"contact": contact}, {"contact": EMAIL_MAX})
    if not given:
        problems["contact"] = "code.problem.contact"
    if problems:
        return await _asked_again(page, back, contact, problems, 422)
    parameters: list[dict[str, Any]] = [
        {"name": "telecom", "valueContactPoint": {"system": system, "value": given}},
        {"name": "language", "valueCode": page.wording.tag},
    ]
    try:
        answered = await page.fhir.as_(None).operation("$send-code", parameters)
    except RefusedError as error:
        if error.refusal.status not in SHOWN_BESIDE_THE_FIELD:
            raise
        return await _asked_again(page, back, given, {"contact": error.refusal.text}, error.refusal.status)
    expires = instant(value_of(answered.resource, "expires", "valueInstant"))
    minutes = minutes_until(expires, page.site.clock.now())
    session = await page.own_session()
    session.content = session.content.model_copy(
        update={"code": CodeSent(system=system, value=given, back=back, minutes=minutes)}
    )
    await page.site.sessions.save(session)
    return page.go("/connexion/code/saisir")


@router.get("/saisir", response_model=None)
async def type_(page: CurrentPage) -> HTMLResponse | RedirectResponse:
    """Where the code is typed or pasted."""
    sent = page.session.content.code if page.session else None
    if sent is None:
        return page.go("/connexion/code")
    return await _ask_for_code(page, sent, page.unsent.text("code"), page.unsent.problems, 200)


@router.post("/saisir", response_model=None)
async def verify(
    page: CurrentPage, code: Annotated[str, Form(max_length=TYPED_MAX)] = ""
) -> HTMLResponse | RedirectResponse:
    """Log in with the code and go on where one was. Sent twice, the form does so once."""
    async with page.entering():
        return await _verified(page, code)


async def _verified(page: Page, code: str) -> HTMLResponse | RedirectResponse:
    session = await page.own_session()
    sent = session.content.code
    if sent is None:
        return page.go("/connexion/code")
    problems = too_long({"code": code}, {"code": CODE_MAX})
    if not code.strip():
        problems["code"] = "code.problem.code"
    if problems:
        return await _ask_for_code(page, sent, "", problems, 422)
    parameters: list[dict[str, Any]] = [
        {"name": "telecom", "valueContactPoint": {"system": sent.system, "value": sent.value}},
        {"name": "code", "valueString": code},
    ]
    try:
        answered = await page.fhir.as_(None).operation("$verify-code", parameters)
    except RefusedError as error:
        await page.go_on_where_entered()
        if error.refusal.status not in SHOWN_BESIDE_THE_FIELD:
            raise
        return await _ask_for_code(page, sent, "", {"code": error.refusal.text}, error.refusal.status)
    proven = proven_contact(sent.system, sent.value) or sent.value
    account = Account(
        subject=f"{sent.system}:{proven}",
        access_token=value_of(answered.resource, "access-token", "valueString"),
        expires_at=instant(value_of(answered.resource, "expires", "valueInstant")),
        provider="code",
        contact=sent.value,
    )
    session.content = session.content.model_copy(update={"code": None})
    return await let_in(page, account, sent.back)


async def _ask_for_code(
    page: Page, sent: CodeSent, code: str, problems: dict[str, str], status: int
) -> HTMLResponse:
    return await page.show_form("sign_in/code.html", status, sent=sent, code=code, problems=problems)


def minutes_until(expires: datetime, now: datetime) -> int:
    """Full minutes that a code works, one at the least; what its answer took on the way is not taken off."""
    return max(1, (expires - now + ON_THE_WAY) // timedelta(minutes=1))


def value_of(parameters: Resource, name: str, type_: str) -> Any:
    """A value of a Parameters resource; KeyError where an answer lacks what it promises."""
    return next(p[type_] for p in parameters.get("parameter", ()) if p["name"] == name)


async def _asked_again(
    page: Page, back: str, contact: str, problems: dict[str, str], status: int
) -> HTMLResponse:
    return await page.show_form("sign_in/contact.html", status, back=back, contact=contact, problems=problems)
