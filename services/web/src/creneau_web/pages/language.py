"""Another language, and back to where one was, with what was typed there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse

from creneau_web.page import CurrentPage, Page, local_path, typed
from creneau_web.sessions.session import Language
from creneau_web.sessions.unsent import Unsent

router = APIRouter(prefix="/langue")

PROBLEMS = "problemes"
"""name of the button; its value is the problems that the page had shown"""
A_PROBLEM = ".problem."
"""part of the key of each such sentence"""
SEARCH = ("quoi", "ou", "comment")
"""fields of the search box"""
SAID_BY_THE_BASE = "form.problem.again"


@router.get("/{language}")
async def choose(
    page: CurrentPage, language: Language, retour: Annotated[str, Query()] = "/"
) -> RedirectResponse:
    """Remember the language for this session, and go back to the same step, with the words of a search that was not sent:
    they stand in addresses anyway.

    A link, for it works from any page and changes nothing but the words.
    """
    typed = {name: said for name in SEARCH if (said := page.request.query_params.get(name))}
    back = local_path(retour)
    return await _choose(page, f"{back}?{urlencode(typed)}" if typed else back, {"language": language})


@router.post("/{language}")
async def choose_while_typing(
    page: CurrentPage, language: Language, retour: Annotated[str, Query()] = "/"
) -> RedirectResponse:
    """The same from a page with a form, of which this is one more button: what was typed is kept with the session and shown
    again. Nothing is done with it, and it stands in no address."""
    fields, back = await typed(page.request), local_path(retour)
    changed: dict[str, object] = {"language": language}
    if fields is not None:
        problems = _problems(page, fields.pop(PROBLEMS, []))
        changed["unsent"] = Unsent(page=back, fields=fields, problems=problems)
    return await _choose(page, back, changed)


def _problems(page: Page, told: list[str]) -> dict[str, str]:
    """Field → key. A sentence of the base was in the other language: a key that says how to see it again replaces it."""
    try:
        said = orjson.loads(told[-1]) if told else {}
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {
        field: problem if A_PROBLEM in str(problem) and page.wording.has(problem) else SAID_BY_THE_BASE
        for field, problem in said.items()
    }


async def _choose(page: Page, back: str, changed: Mapping[str, object]) -> RedirectResponse:
    session = await page.own_session()
    session.content = session.content.model_copy(update=changed)
    await page.site.sessions.save(session)
    return page.go(back)
