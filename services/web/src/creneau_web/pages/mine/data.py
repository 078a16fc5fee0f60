"""My data: seen, corrected, taken away, erased."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.responses import Response

from creneau_web.fhir.refusal import CHANGED_MEANWHILE, RefusedError, UnreachableError
from creneau_web.page import PERSONAL, CurrentPage, Page, SignedInPage, local_path
from creneau_web.pages.login import log_out_here
from creneau_web.people.model import Person, own
from creneau_web.people.reach import reach_of
from creneau_web.people.records import correct, people_of, represented
from creneau_web.people.records import person as read_person
from creneau_web.sessions.session import Erased, Kept
from creneau_web.typed import EMAIL_MAX, NAME_MAX, PHONE_MAX, TYPED_MAX, too_long

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/mes-donnees")

GONE = (404, 410)
MOST = {"nom_utilise": NAME_MAX, "courriel": EMAIL_MAX, "telephone": PHONE_MAX}
"""characters of each field of a correction"""
CHANGED = "record.problem.changed"


class Correction(BaseModel):
    """What a person says anew of themselves, as it was typed."""

    nom_utilise: str = Field("", max_length=TYPED_MAX)
    courriel: str = Field("", max_length=TYPED_MAX)
    telephone: str = Field("", max_length=TYPED_MAX)
    langue: str = Field("fr", pattern="^(fr|en)$")
    version: str = Field("", max_length=40)
    retour: str = Field("/mes-donnees", max_length=2000)


@router.get("", response_class=HTMLResponse)
async def data(page: SignedInPage) -> HTMLResponse:
    """The records that the account may see, and what can be done with them."""
    return await page.show("mine/data.html", people=await people_of(page.fhir))


@router.get("/emporter/{id_}", response_class=HTMLResponse)
async def take_away(page: SignedInPage, id_: str) -> HTMLResponse:
    """What a copy holds, and where to get it."""
    return await page.show("mine/take_away.html", person=await read_person(page.fhir, id_))


@router.get("/emporter/{id_}/archive.zip")
async def archive(page: SignedInPage, id_: str) -> Response:
    """Everything about the person: a page to read, and FHIR to go on with (`$archive`)."""
    answer = await page.fhir.download(f"Patient/{id_}/$archive")
    name = 'attachment; filename="creneau-mes-donnees.zip"'
    return Response(
        answer.content, media_type="application/zip", headers={**PERSONAL, "Content-Disposition": name}
    )


@router.get("/effacer/{id_}", response_class=HTMLResponse)
async def ask_to_erase(page: SignedInPage, id_: str) -> HTMLResponse:
    """What would go and what stays, before anything is done (`$erase` without a word)."""
    return await _erasure(page, id_, page.unsent.problems, 200, page.unsent.text("nom"))


@router.post("/effacer/{id_}", response_model=None)
async def erase(
    page: SignedInPage, id_: str, nom: Annotated[str, Form(max_length=TYPED_MAX)] = ""
) -> HTMLResponse | RedirectResponse:
    """Erase for good, once the name at birth has been written; sent twice, it gives the same receipt."""
    problems = too_long({"nom": nom}, {"nom": NAME_MAX})
    if not nom.strip():
        problems["nom"] = "erase.problem.name"
    if problems:
        return await _erasure(page, id_, problems, 422, nom)
    reached = await _is_reached(page, id_)
    try:
        answered = await page.fhir.operation(
            f"Patient/{id_}/$erase",
            [{"name": "confirm", "valueString": nom.strip()}],
            key=f"erase-{hashlib.sha256(f'{page.form_key} {id_} {nom.strip()}'.encode()).hexdigest()}",
        )
    except RefusedError as error:
        if error.refusal.status != 422:
            raise
        return await _erasure(page, id_, {"nom": error.refusal.text}, 422, nom)
    if not _values(answered.resource, "done"):
        return await _erasure(page, id_, {"nom": "erase.problem.name"}, 422, nom)
    await _keep_receipt(page, _receipt(answered.resource, page.wording.tag, told=reached))
    return page.go("/mes-donnees/efface")


@router.get("/efface", response_model=None)
async def erased(page: CurrentPage) -> HTMLResponse | RedirectResponse:
    """What was erased, and what stays: to whoever has just done it, and may be logged in no more."""
    content = page.session.content if page.session else None
    if content is None or content.erased is None:
        return page.go("/mes-donnees")
    return await page.show("mine/erased.html", erased=content.erased, leave=content.leave is not None)


@router.get("/{id_}", response_class=HTMLResponse)
async def record(
    page: SignedInPage, id_: str, retour: Annotated[str, Query(max_length=2000)] = "/mes-donnees"
) -> HTMLResponse:
    """One record: what a practice has verified, and what the person may say themselves."""
    person = await read_person(page.fhir, id_)
    form = page.unsent.read(Correction) or _as_it_stands(person, local_path(retour, "/mes-donnees"))
    return await _record(page, person, form, page.unsent.problems, 200)


@router.post("/{id_}", response_model=None)
async def correct_record(
    page: SignedInPage, id_: str, form: Annotated[Correction, Form()]
) -> HTMLResponse | RedirectResponse:
    """Keep what was changed, and go back to where one came from."""
    long = too_long(form.model_dump(), MOST)
    if long:
        return await _record(page, await read_person(page.fhir, id_), form, long, 422)
    people = await people_of(page.fhir)
    try:
        await correct(
            page.fhir,
            id_,
            form.version or None,
            usual_name=form.nom_utilise.strip(),
            email=form.courriel.strip(),
            phone=form.telephone.strip(),
            language=form.langue,
        )
    except RefusedError as error:
        if error.refusal.status == CHANGED_MEANWHILE:
            return await _changed_meanwhile(page, id_, form)
        problem = _problem(error)
        if problem is None:
            raise
        return await _record(page, await read_person(page.fhir, id_), form, problem, 422)
    await page.say_next("record.kept.others" if _shares_what_changed(people, id_, form) else "record.kept")
    return page.go(local_path(form.retour, "/mes-donnees"))


async def _kept(page: Page, form: Correction) -> RedirectResponse:
    await page.say_next("record.kept")
    return page.go(local_path(form.retour, "/mes-donnees"))


def _shares_what_changed(people: Iterable[Person], id_: str, form: Correction) -> bool:
    """Whether this form takes from one's own record a contact that somebody represented has too: a child's are often those
    of a parent, and do not change with them."""
    kept = {form.courriel.strip(), form.telephone.strip()}
    gone = {contact for one in people if one.id == id_ and one.oneself for contact in one.contacts} - kept
    return any(not gone.isdisjoint(one.contacts) for one in people if one.id != id_ and "register" in one.may)


async def _changed_meanwhile(page: Page, id_: str, form: Correction) -> HTMLResponse | RedirectResponse:
    """Handles a form of an outdated version, as of a second tab: shows what was typed beside what stands now; sent again, it
    is kept. If both are the same there is nothing to decide."""
    person = await read_person(page.fhir, id_)
    differing = _differing(form, person)
    if not differing:
        return await _kept(page, form)
    form = form.model_copy(update={"version": person.etag or ""})
    return await _record(page, person, form, {next(iter(differing)): CHANGED}, 422)


def _as_it_stands(person: Person, back: str) -> Correction:
    return Correction(
        nom_utilise=person.usual_name or "",
        courriel=person.email or "",
        telephone=person.phone or "",
        langue=person.language,
        version=person.etag or "",
        retour=back,
    )


def _differing(form: Correction, person: Person) -> dict[str, str]:
    """Field → what stands now, where something else was typed."""
    now, typed = _as_it_stands(person, form.retour).model_dump(), form.model_dump()
    return {name: now[name] for name in (*MOST, "langue") if now[name] != typed[name].strip()}


def _problem(error: RefusedError) -> dict[str, str] | None:
    """The field that a refusal is about, with its sentence; None for what is no question of a field."""
    refusal = error.refusal
    if refusal.status not in (400, 403, 422):
        return None
    about_names = any("name" in expression for expression in refusal.expressions)
    about_phone = "phone" in refusal.code or "number" in refusal.code
    return {"nom_utilise" if about_names else "telephone" if about_phone else "courriel": refusal.text}


async def _record(
    page: Page, person: Person, form: Correction, problems: dict[str, str], status: int
) -> HTMLResponse:
    stands = _differing(form, person) if CHANGED in problems.values() else {}
    oneself = own(await represented(page.fhir))
    return await page.show_form(
        "mine/record.html",
        status,
        person=person,
        acting=None if oneself is not None and oneself.id == person.id else person,
        form=form,
        problems=problems,
        stands=stands,
    )


async def _erasure(
    page: Page, id_: str, problems: dict[str, str], status: int, name: str = ""
) -> HTMLResponse:
    person = await read_person(page.fhir, id_)
    told = (await page.fhir.operation(f"Patient/{id_}/$erase")).resource
    return await page.show_form(
        "mine/erase.html",
        status,
        person=person,
        kept=[one.why for one in _kept_parts(told)],
        name=name,
        problems=problems,
    )


async def _is_reached(page: Page, id_: str) -> bool:
    """Whether a message will reach the person; False if they are erased already."""
    try:
        person = await read_person(page.fhir, id_)
    except RefusedError as error:
        if error.refusal.status not in GONE:
            raise
        return False
    return reach_of(person, hidden=False, texted=page.site.settings.texted) == "reached"


async def _keep_receipt(page: Page, receipt: Erased) -> None:
    """Stores the receipt with the session first: the erasure is done. If the account has nobody any more, logs out and
    stores it with a new session, with a link to log out at the provider: a form may not lead to another site."""
    session, account = await page.own_session(), page.account
    session.content = session.content.model_copy(update={"erased": receipt})
    await page.site.sessions.save(session)
    if account is None or not await _is_empty(page):
        return
    leave = await log_out_here(page, account, former=account.whose, erased=receipt)
    session = await page.own_session()
    session.content = session.content.model_copy(update={"leave": leave})
    await page.site.sessions.save(session)


async def _is_empty(page: Page) -> bool:
    """Whether the account has nobody any more; False if that cannot be asked."""
    try:
        return not await people_of(page.fhir)
    except (RefusedError, UnreachableError) as error:
        log.warning("erasure.people_unknown", error=error)
        return False


def _receipt(answered: dict[str, Any], language: str, *, told: bool) -> Erased:
    said = answered.get("parameter", ())
    return Erased(
        language=language,
        cancelled=sum(one["name"] == "cancelled" for one in said),
        told=told,
        kept=tuple(_kept_parts(answered)),
    )


def _kept_parts(told: dict[str, Any]) -> Iterator[Kept]:
    """What stays, as `$erase` tells it before and after."""
    for parameter in told.get("parameter", ()):
        part = {one["name"]: one for one in parameter.get("part", ())}
        if parameter["name"] == "kept" and part.get("why", {}).get("valueString"):
            yield Kept(why=part["why"]["valueString"], until=part.get("until", {}).get("valueDate"))


def _values(parameters: dict[str, Any], name: str) -> bool:
    return any(p.get("valueBoolean") is True for p in parameters.get("parameter", ()) if p["name"] == name)
