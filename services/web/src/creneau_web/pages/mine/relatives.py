"""For whom I act, and who acts for me."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date
from secrets import token_hex
from typing import Annotated

import orjson
from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from creneau_web.care.model import PARIS
from creneau_web.fhir.refusal import RefusedError
from creneau_web.fhir.values import instant
from creneau_web.page import Page, SignedInPage
from creneau_web.people import proxies
from creneau_web.people.model import Person, own
from creneau_web.people.records import people_of
from creneau_web.sessions.session import Content
from creneau_web.typed import CODE_MAX, NAME_MAX, TYPED_MAX, too_long

router = APIRouter(prefix="/mes-proches")

CODE_REFUSED = 422
WORKS_ONCE = ("proxy-code", "proxy-already")
"""refusals of a code that was taken up"""
BY_RULE = (403, 409, 422)


class Invitation(BaseModel):
    """An invitation as it was typed: who may act, for whom, how far and how long."""

    pour: str = Field("", max_length=64)
    nom: str = Field("", max_length=TYPED_MAX)
    etendue: str = Field("see", pattern="^(see|cancel|book|register)$")
    duree: int = Field(12, ge=1, le=12)
    """months"""
    cle: str = Field("", max_length=80)
    """the same for each sending of one shown form"""

    @property
    def wish(self) -> str | None:
        """The same for the same wish, however often its form is sent."""
        if not self.cle:
            return None
        said = [self.cle, self.pour, self.nom.strip(), self.etendue, str(self.duree)]
        return f"invite-{hashlib.sha256(orjson.dumps(said)).hexdigest()}"


SCOPES_UP_TO = {
    "see": ("see",),
    "cancel": ("see", "cancel"),
    "book": ("see", "book"),
    "register": ("see", "book", "register"),
}
"""choice of the form → scopes that it gives"""


@router.get("", response_class=HTMLResponse)
async def relatives(page: SignedInPage) -> HTMLResponse:
    """Each person of the account, with who may act for them."""
    form = page.unsent.read(Invitation) or Invitation()
    return await _show(page, form, page.unsent.problems, 200, page.unsent.text("code"))


@router.post("/inviter", response_model=None)
async def give(page: SignedInPage, form: Annotated[Invitation, Form()]) -> HTMLResponse | RedirectResponse:
    """Give access; sent twice, it is given once. By a redirect: a page with the code that is loaded anew makes no second
    invitation."""
    async with page.one_press():
        return await _given(page, form)


async def _given(page: Page, form: Invitation) -> HTMLResponse | RedirectResponse:
    session = await page.own_session()
    if form.wish is not None and session.content.invited.get("wish") == form.wish:
        return page.go("/mes-proches/invitation")
    people = await people_of(page.fhir)
    person = next((one for one in givers_of(people) if one.id == form.pour), None)
    problems = too_long({"nom": form.nom}, {"nom": NAME_MAX})
    if not form.nom.strip():
        problems["nom"] = "proxy.problem.name"
    if person is None:
        problems["pour"] = "proxy.problem.person"
    if problems or person is None:
        return await _show(page, form, problems, 422)
    today = page.today
    until, name = _later(today, form.duree), form.nom.strip()
    scopes = SCOPES_UP_TO[form.etendue]
    try:
        code = await proxies.invite(page.fhir, person.id, name, scopes, today, until, key=form.wish)
    except RefusedError as error:
        if error.refusal.status not in BY_RULE:
            raise
        return await _show(page, form, {"nom": error.refusal.text}, error.refusal.status)
    invited = {"who": person.name, "name": name, "code": code.code, "expires": code.expires}
    await page.site.sessions.change(session, _with({**invited, "wish": form.wish or ""}))
    return page.go("/mes-proches/invitation")


def _with(invited: dict[str, str]) -> Callable[[Content], Content]:
    """Puts this invitation into the session's content. If it was sent twice at once, keeps the code that works."""

    def change(content: Content) -> Content:
        stands = content.invited
        is_older = stands.get("wish") == invited["wish"] and stands["expires"] > invited["expires"]
        return content if is_older else content.model_copy(update={"invited": invited})

    return change


@router.get("/invitation", response_model=None)
async def invitation(page: SignedInPage) -> HTMLResponse | RedirectResponse:
    """The code of the invitation that was made last, and until when it works: this session has it, and nobody else."""
    session = await page.own_session()
    if not session.content.invited:
        return page.go("/mes-proches")
    invited = session.content.invited
    expires = invited.get("expires")
    until = instant(expires).astimezone(PARIS) if expires else None
    return await page.show("mine/invited.html", invited=invited, until=until)


@router.post("/accepter", response_model=None)
async def take_up(
    page: SignedInPage, code: Annotated[str, Form(max_length=TYPED_MAX)] = ""
) -> HTMLResponse | RedirectResponse:
    """Take up what somebody has given; sent twice, it is taken up once."""
    problems = too_long({"code": code}, {"code": CODE_MAX})
    if not code.strip():
        problems["code"] = "proxy.problem.code"
    if problems:
        return await _show(page, Invitation(), problems, 422, code)
    digest = hashlib.sha256(code.strip().encode()).hexdigest()
    async with page.one_press():
        try:
            await proxies.accept(page.fhir, code.strip())
        except RefusedError as error:
            if error.refusal.status != CODE_REFUSED:
                raise
            if error.refusal.code not in WORKS_ONCE or not await _has_taken_up(page, digest):
                return await _show(page, Invitation(), {"code": error.refusal.text}, 422, code)
        session = await page.own_session()
        done = {"taken_up": digest, "said": "proxy.accepted"}
        await page.site.sessions.change(session, lambda content: content.model_copy(update=done))
    return page.go("/mes-proches")


async def _has_taken_up(page: Page, digest: str) -> bool:
    """Whether this session has taken up this code already, by an earlier sending of the form."""
    session = await page.own_session()
    await page.site.sessions.change(session, lambda content: content)
    return session.content.taken_up == digest


@router.post("/{id_}/espace")
async def give_own(page: SignedInPage, id_: str) -> RedirectResponse:
    """Invites a child to an account of their own, before the parent's access ends with majority. Sent twice, the later code
    works, and is shown."""
    async with page.one_press():
        person = next((one for one in await people_of(page.fhir) if one.id == id_), None)
        known = await proxies.proxies_of(page.fhir, [person.id], page.today) if person else []
        if person is None or not proxies.may_invite_to_own(person, known, page.today):
            return page.go("/mes-proches")
        code = await proxies.invite_to_own(page.fhir, person, known)
        invited = {"who": person.name, "name": "", "code": code.code, "expires": code.expires}
        await page.site.sessions.change(await page.own_session(), _with({**invited, "wish": f"own-{id_}"}))
    return page.go("/mes-proches/invitation")


@router.post("/{id_}/retirer")
async def take_back(page: SignedInPage, id_: str) -> RedirectResponse:
    """One action: from the next request on the other sees nothing any more. What is ended already stays so."""
    async with page.one_press():
        if await _is_known(page, id_):
            await proxies.take_back(page.fhir, id_)
            await page.say_next("proxy.taken_back")
    return page.go("/mes-proches")


@router.post("/{id_}/renoncer")
async def renounce(page: SignedInPage, id_: str) -> RedirectResponse:
    """Whoever acts for somebody stops doing so. What is ended already stays so."""
    async with page.one_press():
        if await _is_known(page, id_):
            await proxies.renounce(page.fhir, id_)
            await page.say_next("proxy.renounced")
    return page.go("/mes-proches")


async def _is_known(page: Page, id_: str) -> bool:
    """Whether it is a live representation of somebody of this account."""
    people = await people_of(page.fhir)
    found = await proxies.proxies_of(page.fhir, [p.id for p in people], page.today)
    return id_ in {proxy.id for proxy in found}


async def _show(
    page: Page, form: Invitation, problems: dict[str, str], status: int, code: str = ""
) -> HTMLResponse:
    people = await people_of(page.fhir)
    today = page.today
    found = await proxies.proxies_of(page.fhir, [person.id for person in people], today)
    oneself = own(people)
    return await page.show_form(
        "mine/relatives.html",
        status,
        people=[(person, _of(person, found)) for person in people],
        oneself=oneself.id if oneself else None,
        invitable={p.id for p in people if proxies.may_invite_to_own(p, _of(p, found), today)},
        givers=givers_of(people),
        form=form,
        fresh=token_hex(16),
        code=code,
        problems=problems,
        scopes=tuple(SCOPES_UP_TO),
    )


def givers_of(people: list[Person]) -> list[Person]:
    """The people for whom the account decides who may act."""
    return [person for person in people if "manage" in person.may]


def _of(person: Person, found: list[proxies.Proxy]) -> list[proxies.Proxy]:
    return [proxy for proxy in found if proxy.patient == person.id]


def _later(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    raise AssertionError("a month has 28 days")
