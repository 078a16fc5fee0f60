"""Who are you? The ways to log in, and the ways that need none."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.page import CurrentPage, Page, local_path
from creneau_web.sessions.session import Account

router = APIRouter()

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
    """Somebody has logged in: on to where they were going; home, with the reason, where that was a choice made in another
    person's session."""
    kept = await page.let_in(account)
    if kept or not DRAFT.match(back):
        return page.go(back)
    await page.say_next("sign_in.choices_of_another")
    return page.go("/")
