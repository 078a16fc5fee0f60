"""Anybody may report a page: words that turn people away, a wrong number, somebody who is not there any more (P20)."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.care.model import PARIS
from creneau_web.page import CurrentPage, local_path
from creneau_web.pages.ops.entering import is_operator
from creneau_web.storage.reports import Report
from creneau_web.typed import TYPED_MAX

router = APIRouter()

Reason = Literal["", "discrimination", "wrong", "gone", "access", "other"]
REASONS: tuple[Reason, ...] = ("discrimination", "wrong", "gone", "access", "other")
TEXT_MAX = 500
SHOWN = 200


@router.get("/signaler", response_class=HTMLResponse)
async def ask(
    page: CurrentPage, page_: Annotated[str, Query(alias="page", max_length=2000)] = "/"
) -> HTMLResponse:
    """Which page it is, why, and a few words."""
    unsent = page.unsent
    return await page.show_form(
        "report.html",
        path=_path(unsent.text("page", page_)),
        reason=unsent.text("raison"),
        text=unsent.text("texte"),
        problems=unsent.problems,
        reasons=REASONS,
    )


@router.post("/signaler", response_model=None)
async def report(
    page: CurrentPage,
    page_: Annotated[str, Form(alias="page", max_length=2000)] = "/",
    raison: Annotated[Reason, Form()] = "",
    texte: Annotated[str, Form(max_length=TYPED_MAX)] = "",
) -> HTMLResponse | RedirectResponse:
    """Keep it, and thank."""
    problems = {} if raison else {"raison": "report.problem.reason"}
    if len(texte) > TEXT_MAX:
        problems["texte"] = "report.problem.text"
    if not problems:
        kept = Report(page.site.clock.now(), _path(page_), raison, texte.strip())
        if await page.site.reports.add(kept, page.address):
            await page.say_next("report.done")
            return page.go(_path(page_))
        problems["raison"] = "report.problem.many"
    return await page.show_form(
        "report.html",
        429 if problems.get("raison") == "report.problem.many" else 422,
        path=_path(page_),
        reason=raison,
        text=texte,
        problems=problems,
        reasons=REASONS,
    )


@router.get("/ops/signalements", response_model=None)
async def reports(page: CurrentPage) -> HTMLResponse | RedirectResponse:
    """What was reported, the latest first: for operators."""
    if page.account is None:
        return page.go("/connexion", retour="/ops/signalements")
    if not is_operator(page.account):
        return await page.show("failure.html", 403, kind="forbidden", text="")
    latest = await page.site.reports.latest(SHOWN)
    return await page.show("reports.html", reports=latest, zone=PARIS)


def _path(text: str) -> str:
    """A path of this site, without its query: that may hold what somebody searched for."""
    return urlsplit(local_path(text)).path
