"""For whom I act, and who acts for me."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import Page, SignedInPage
from creneau_web.people import proxies
from creneau_web.people.model import Person, own
from creneau_web.people.records import people_of
from creneau_web.typed import CODE_MAX, NAME_MAX, TYPED_MAX, too_long

router = APIRouter(prefix="/mes-proches")

CODE_REFUSED = 422


class Invitation(BaseModel):
    """Whom one lets act, for whom, how far and how long; as it was typed."""

    pour: str = Field("", max_length=64)
    nom: str = Field("", max_length=TYPED_MAX)
    etendue: str = Field("see", pattern="^(see|cancel|book|register)$")
    duree: int = Field(12, ge=1, le=12)
    """months"""


SCOPES_UP_TO = {
    "see": ("see",),
    "cancel": ("see", "cancel"),
    "book": ("see", "book"),
    "register": ("see", "book", "register"),
}
"""what a choice of the form lets somebody do"""


@router.get("", response_class=HTMLResponse)
async def relatives(page: SignedInPage) -> HTMLResponse:
    """Each person of the account, with who may act for them."""
    form = page.unsent.read(Invitation) or Invitation()
    return await _show(page, form, page.unsent.problems, 200, page.unsent.text("code"))


@router.post("/inviter", response_model=None)
async def give(page: SignedInPage, form: Annotated[Invitation, Form()]) -> HTMLResponse | RedirectResponse:
    """Give access. By a redirect: a page with the code that is loaded anew makes no second invitation."""
    people = await people_of(page.fhir)
    person = next((one for one in givers_of(people) if one.id == form.pour), None)
    problems = too_long({"nom": form.nom}, {"nom": NAME_MAX})
    if not form.nom.strip():
        problems["nom"] = "proxy.problem.name"
    if person is None:
        problems["pour"] = "proxy.problem.person"
    if problems or person is None:
        return await _show(page, form, problems, 422)
    today = page.site.clock.now().date()
    code = await proxies.invite(
        page.fhir, person.id, form.nom.strip(), SCOPES_UP_TO[form.etendue], today, _later(today, form.duree)
    )
    session = await page.own_session()
    invited = {"who": person.name, "name": form.nom.strip(), "code": code}
    session.content = session.content.model_copy(update={"invited": invited})
    await page.site.sessions.save(session)
    return page.go("/mes-proches/invitation")


@router.get("/invitation", response_model=None)
async def invitation(page: SignedInPage) -> HTMLResponse | RedirectResponse:
    """The code of the invitation that was made last: this session has it, and nobody else."""
    session = await page.own_session()
    if not session.content.invited:
        return page.go("/mes-proches")
    return await page.show("mine/invited.html", invited=session.content.invited)


@router.post("/accepter", response_model=None)
async def take_up(
    page: SignedInPage, code: Annotated[str, Form(max_length=TYPED_MAX)] = ""
) -> HTMLResponse | RedirectResponse:
    """Take up what somebody has given."""
    problems = too_long({"code": code}, {"code": CODE_MAX})
    if not code.strip():
        problems["code"] = "proxy.problem.code"
    if problems:
        return await _show(page, Invitation(), problems, 422, code)
    try:
        await proxies.accept(page.fhir, code.strip())
    except RefusedError as error:
        if error.refusal.status != CODE_REFUSED:
            raise
        return await _show(page, Invitation(), {"code": error.refusal.text}, 422, code)
    await page.say_next("proxy.accepted")
    return page.go("/mes-proches")


@router.post("/{id_}/retirer")
async def take_back(page: SignedInPage, id_: str) -> RedirectResponse:
    """One action: from the next request on the other sees nothing any more."""
    await _known(page, id_)
    await proxies.take_back(page.fhir, id_)
    await page.say_next("proxy.taken_back")
    return page.go("/mes-proches")


@router.post("/{id_}/renoncer")
async def renounce(page: SignedInPage, id_: str) -> RedirectResponse:
    """Whoever acts for somebody stops doing so."""
    await _known(page, id_)
    await proxies.renounce(page.fhir, id_)
    await page.say_next("proxy.renounced")
    return page.go("/mes-proches")


async def _known(page: Page, id_: str) -> None:
    """404 for what is no live representation of somebody of this account."""
    people = await people_of(page.fhir)
    found = await proxies.proxies_of(page.fhir, [p.id for p in people], page.site.clock.now().date())
    if id_ not in {proxy.id for proxy in found}:
        raise HTTPException(404)


async def _show(
    page: Page, form: Invitation, problems: dict[str, str], status: int, code: str = ""
) -> HTMLResponse:
    people = await people_of(page.fhir)
    today = page.site.clock.now().date()
    found = await proxies.proxies_of(page.fhir, [person.id for person in people], today)
    oneself = own(people)
    return await page.show_form(
        "mine/relatives.html",
        status,
        people=[(person, _of(person, found)) for person in people],
        oneself=oneself.id if oneself else None,
        givers=givers_of(people),
        form=form,
        code=code,
        problems=problems,
        scopes=tuple(SCOPES_UP_TO),
    )


def givers_of(people: list[Person]) -> list[Person]:
    """Those about whom the account decides who may act."""
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
