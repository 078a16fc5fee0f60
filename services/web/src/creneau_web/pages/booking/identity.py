"""Who the appointment is for, when the server does not know them yet: only what is needed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import Page, SignedInPage
from creneau_web.pages.booking.draft import Draft, keep, load
from creneau_web.pages.booking.step import keep_the_time
from creneau_web.people.identity_form import IdentityForm, problems_of
from creneau_web.people.model import Person, bookable, own
from creneau_web.people.reach import Reach, reach_of
from creneau_web.people.records import patient, people_of, register

router = APIRouter()

FIELD_OF = {"telecom": "courriel", "birthDate": "jour", "name": "nom_de_naissance"}
"""element of Patient that a refusal names → field of the form"""


@router.get("/reservation/{id_}/identite", response_model=None)
async def ask(page: SignedInPage, id_: str) -> HTMLResponse | RedirectResponse:
    """The form: as it was sent, with what is wrong with it, or filled with what the log-in vouches for.

    Who comes back here when it has been answered chooses among the people who are known by now.
    """
    draft = await load(page, id_)
    people = await people_of(page.fhir)
    unsent = page.unsent.read(IdentityForm)
    if unsent is not None:
        return await _show(page, draft, people, unsent, page.unsent.problems)
    if draft.typed is not None:
        return await _show(page, draft, people, IdentityForm.model_validate(draft.typed), draft.problems)
    if bookable(people) and not draft.somebody_new:
        return page.go(f"{draft.path}/pour-qui")
    return await _show(page, draft, people, IdentityForm() if own(people) else _known(page), {})


@router.post("/reservation/{id_}/identite", response_model=None)
async def answer(page: SignedInPage, id_: str, form: Annotated[IdentityForm, Form()]) -> RedirectResponse:
    """Register the person and hold the time for them; where something is wrong, back to the page, which has kept it.

    By a redirect: a page that answered a form itself is one to which no browser's way back leads.
    """
    draft = await load(page, id_)
    people = await people_of(page.fhir)
    today = page.today
    oneself = own(people)
    problems = problems_of(form, today, first=oneself is None)
    born = form.birth_date
    if problems or born is None:
        return await _ask_again(page, draft, form, problems or {"jour": "identity.problem.birth_date"})
    resource = patient(
        given=form.prenom.strip(),
        birth_name=form.nom_de_naissance.strip(),
        usual_name=form.nom_utilise.strip(),
        birth_date=born,
        email=form.email or (oneself.email or "" if oneself else ""),
        phone=form.phone or (oneself.phone or "" if oneself else ""),
        language=page.wording.tag,
    )
    try:
        person = await register(page.fhir, resource)
    except RefusedError as error:
        field = _field(error)
        if field is None:
            raise
        return await _ask_again(page, draft, form, {field: error.refusal.text})
    if _reach(page, person) == "reached":
        await page.say_next("reach.confirm")
    draft.choose(person.id)
    draft.typed, draft.problems, draft.somebody_new = None, {}, False
    await keep(page, draft)
    return await keep_the_time(page, draft)


def _reach(page: Page, person: Person | None) -> Reach:
    return reach_of(person, hidden=False, texted=page.site.settings.texted)


def _field(error: RefusedError) -> str | None:
    """The field of the form that a refusal is about."""
    if error.refusal.status != 422:
        return None
    for expression in error.refusal.expressions:
        parts = expression.replace("[", ".").split(".")
        if len(parts) > 1 and parts[1] in FIELD_OF:
            return FIELD_OF[parts[1]]
    return None


def _known(page: Page) -> IdentityForm:
    """What is known of the person already; it is not asked for again (WCAG 3.3.7)."""
    account = page.account
    if account is None:
        return IdentityForm()
    said = account.identity
    year, month, day = (*str(said.get("birth_date") or "").split("-"), "", "", "")[:3]
    given = said.get("given_names") or []
    contact = account.contact or ""
    return IdentityForm(
        prenom=given[0] if given else "",
        nom_de_naissance=str(said.get("family_name") or "").title(),
        nom_utilise=str(said.get("usual_name") or ""),
        jour=day,
        mois=month,
        annee=year,
        courriel=str(said.get("email") or (contact if "@" in contact else "")),
        telephone=contact if contact and "@" not in contact else "",
    )


async def _ask_again(
    page: Page, draft: Draft, form: IdentityForm, problems: dict[str, str]
) -> RedirectResponse:
    draft.typed, draft.problems = form.model_dump(), problems
    await keep(page, draft)
    return page.go(f"{draft.path}/identite")


async def _show(
    page: Page, draft: Draft, people: list[Person], form: IdentityForm, problems: dict[str, str]
) -> HTMLResponse:
    professional = await page.site.directory.professional(page.fhir, draft.role)
    return await page.show_form(
        "booking/identity.html",
        draft=draft,
        professional=professional,
        first=own(people) is None,
        reach=_reach(page, own(people)),
        form=form,
        problems=problems,
    )
