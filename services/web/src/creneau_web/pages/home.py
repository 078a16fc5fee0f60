"""The way in: three fields, and what needs no screen."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.care.wanted import all_wanted
from creneau_web.page import CurrentPage

router = APIRouter()

SHORTCUTS = 8


@router.get("/", response_model=None)
async def home(page: CurrentPage, state: str | None = None) -> HTMLResponse | RedirectResponse:
    """Search box, shortcuts to what is asked for most, and the telephone. `state`: added by the provider where people come
    from after logging out; nobody needs it in the address."""
    if state is not None:
        return page.go("/")
    return await page.show("home.html", shortcuts=all_wanted()[:SHORTCUTS], what="", where="", mode="")
