"""What comes next: the one place that knows the order of the steps."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import CurrentPage, Page, check_patient
from creneau_web.pages.booking.draft import Draft, keep, load, release
from creneau_web.pages.booking.holding import hold
from creneau_web.people.model import bookable, own
from creneau_web.people.records import represented
from creneau_web.visits.close import close_visit
from creneau_web.visits.conflicts import is_own, is_taken, words_of
from creneau_web.visits.model import Visit
from creneau_web.visits.records import visits_around

router = APIRouter()

AGAINST = 422
NOT_THEIRS = (403, 404)


@router.get("/reservation/{id_}")
async def step(page: CurrentPage, id_: str) -> RedirectResponse:
    """Lead to the first thing that is missing; the slot is held as soon as it is known for whom."""
    draft = await load(page, id_)
    return await next_step(page, draft)


async def next_step(page: Page, draft: Draft) -> RedirectResponse:
    """Redirects to the draft's next step. RefusedError for what no page can mend."""
    if page.account is None or page.account.is_for_one_visit:
        return page.go("/connexion", retour=draft.path)
    check_patient(page.account)
    if draft.patient is None:
        people = bookable(await represented(page.fhir))
        if not people:
            return page.go(f"{draft.path}/identite")
        oneself = own(people)
        if oneself is not None:
            draft.choose(oneself.id)
            await keep(page, draft)
        if oneself is None or len(people) > 1:
            return page.go(f"{draft.path}/pour-qui")
    return await keep_the_time(page, draft)


async def keep_the_time(page: Page, draft: Draft) -> RedirectResponse:
    """Holds the slot for the draft's patient and redirects to the check; to another page if somebody was faster, or a rule
    forbids it."""
    now = page.site.clock.now()
    if draft.held is not None and (draft.held.patient != draft.patient or draft.held.until <= now):
        await release(page, draft)
    if draft.held is None:
        draft.against = None
        try:
            await hold(page, draft)
        except RefusedError as error:
            return await lead_away(page, draft, error)
    return await ask_about_another(page, draft)


async def lead_away(page: Page, draft: Draft, error: RefusedError) -> RedirectResponse:
    """Redirects to the page of a time that cannot be had: somebody was faster, a rule forbids it, or the account may not
    book for this person any more. Raises any other error again."""
    refusal = error.refusal
    if await is_no_longer_theirs(page, draft, error):
        return await ask_for_whom(page, draft)
    if is_taken(refusal):
        return page.go(f"{draft.path}/pris")
    if refusal.status != AGAINST and not is_own(refusal):
        raise error
    draft.against, draft.against_language = words_of(refusal), page.wording.tag
    await keep(page, draft)
    return page.go(f"{draft.path}/impossible")


async def is_no_longer_theirs(page: Page, draft: Draft, error: RefusedError) -> bool:
    """Whether something is refused because the account may not book for the draft's patient any more: a relative may have
    taken the right back."""
    if error.refusal.status not in NOT_THEIRS:
        return False
    return draft.patient not in {one.id for one in bookable(await represented(page.fhir))}


async def ask_for_whom(page: Page, draft: Draft) -> RedirectResponse:
    """Redirects to the choice of another patient, and says why."""
    draft.patient = draft.held = None
    draft.attempt += 1
    await keep(page, draft)
    await page.say_next("who.no_longer")
    return page.go(f"{draft.path}/pour-qui")


async def ask_about_another(page: Page, draft: Draft) -> RedirectResponse:
    """Redirects to the check; before it, once for each wish, to the question about a near appointment."""
    if draft.settled != draft.wish:
        draft.moving = None
        if await near_to(page, draft) is not None:
            await keep(page, draft)
            return page.go(f"{draft.path}/deja")
        draft.settled = draft.wish
        await keep(page, draft)
    return page.go(f"{draft.path}/verifier")


async def near_to(page: Page, draft: Draft) -> Visit | None:
    """Another appointment of the same person, near and for the same speciality."""
    days = page.site.settings.close_visits_days
    if draft.patient is None or days == 0:
        return None
    professional = await page.site.directory.professional(page.fhir, draft.role)
    around = await visits_around(page.fhir, page.site.directory, draft.patient, draft.start, days)
    return close_visit(around, draft.start, professional, timedelta(days=days))
