"""Another language, and back to where one was."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse

from creneau_web.page import CurrentPage, local_path
from creneau_web.sessions.session import Language

router = APIRouter()


@router.get("/langue/{language}")
async def choose(
    page: CurrentPage, language: Language, retour: Annotated[str, Query()] = "/"
) -> RedirectResponse:
    """Remember the language for this session, and go back to the same step.

    A link, for it works from any page and changes nothing but the words.
    """
    session = await page.own_session()
    session.content = session.content.model_copy(update={"language": language})
    await page.site.sessions.save(session)
    return page.go(local_path(retour))
