"""The way in: three fields, and what needs no screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from creneau_web.care.finding import Mode
from creneau_web.care.wanted import all_wanted
from creneau_web.page import CurrentPage, Page
from creneau_web.typed import TYPED_MAX

router = APIRouter()

SHORTCUTS = 8


class Words(BaseModel):
    """The search box as typed and not sent, when the language was changed."""

    quoi: str = Field("", max_length=TYPED_MAX)
    ou: str = Field("", max_length=TYPED_MAX)
    comment: Mode = ""


@router.get("/", response_model=None)
async def home(
    page: CurrentPage, words: Annotated[Words, Query()], state: str | None = None
) -> HTMLResponse | RedirectResponse:
    """Search box, shortcuts to what is asked for most, and the telephone. `state`: added by the provider where people come
    from after logging out; nobody needs it in the address."""
    if state is not None:
        return page.go("/")
    return await show_home(page, what=words.quoi, where=words.ou, mode=words.comment)


async def show_home(
    page: Page,
    status: int = 200,
    what: str = "",
    where: str = "",
    mode: Mode = "",
    problems: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """The search box with what was typed into it. `problems`: field → key of what is wrong."""
    return await page.show(
        "home.html",
        status,
        shortcuts=all_wanted()[:SHORTCUTS],
        what=what,
        where=where,
        mode=mode,
        problems=problems or {},
    )
