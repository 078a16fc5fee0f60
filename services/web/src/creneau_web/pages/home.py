"""The way in: three fields, and what needs no screen."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from creneau_web.care.wanted import all_wanted
from creneau_web.page import CurrentPage

router = APIRouter()

SHORTCUTS = 8


@router.get("/", response_class=HTMLResponse)
async def home(page: CurrentPage) -> HTMLResponse:
    """Search box, shortcuts to what is asked for most, and the telephone."""
    return await page.show("home.html", shortcuts=all_wanted()[:SHORTCUTS], what="", where="", mode="")
