"""Who are you? The ways to log in, and the ways that need none."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.page import CurrentPage, Page, local_path
from creneau_web.pages.booking.draft import Chosen
from creneau_web.sessions.session import Account

router = APIRouter()

BARE = ("id", "role", *Chosen.model_fields)
"""fields of a draft: the chosen time, and nothing of who chose it"""
DRAFT = re.compile(r"/reservation/([\w-]+)")


@router.get("/connexion", response_model=None)
async def sign_in(
    page: CurrentPage, retour: Annotated[str, Query(max_length=500)] = "/"
) -> HTMLResponse | RedirectResponse:
    """The choice of ways; who is logged in goes on. What is said of one's choices is so: they end with their session."""
    back, lead = local_path(retour), None
    if page.account is not None and not page.account.is_for_one_visit:
        return page.go(back)
    if draft := DRAFT.match(back):
        kept = await page.site.sessions.find_draft(page.session, draft[1]) if page.session else None
        back, lead = (back, "sign_in.lead") if kept else ("/", "sign_in.choices_gone")
    return await page.show_form("sign_in.html", back=back, lead=lead)


async def let_in(page: Page, account: Account, back: str) -> RedirectResponse:
    """Logs somebody in and redirects to `back`; home, with the reason, if that was a choice made in another person's
    session."""
    chosen = DRAFT.match(back)
    time = await _time_chosen_by_link(page, chosen[1]) if chosen else None
    if await page.let_in(account, back) or chosen is None:
        return page.go(back)
    if time is None:
        await page.say_next("sign_in.choices_of_another")
        return page.go("/")
    await page.site.sessions.keep_draft(await page.own_session(), chosen[1], time)
    return page.go(back)


async def _time_chosen_by_link(page: Page, draft: str) -> dict[str, Any] | None:
    """The time of a draft of who came by a link: they had to log in to go on with it, and it says nothing of them."""
    session = page.session
    if session is None or not session.content.is_for_one_visit:
        return None
    kept = await page.site.sessions.find_draft(session, draft)
    return {name: kept[name] for name in BARE if name in kept} if kept else None
