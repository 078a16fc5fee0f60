"""Who are you? The ways to log in, and the ways that need none."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.page import CurrentPage, local_path

router = APIRouter()


@router.get("/connexion", response_model=None)
async def sign_in(
    page: CurrentPage, retour: Annotated[str, Query(max_length=500)] = "/"
) -> HTMLResponse | RedirectResponse:
    """The choice of ways; who is logged in goes on."""
    back = local_path(retour)
    if page.account is not None:
        return page.go(back)
    return await page.show_form("sign_in.html", back=back)
