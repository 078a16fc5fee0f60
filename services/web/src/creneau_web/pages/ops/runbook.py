"""What to do when: the headings of the operator's guide, to which each line of the page leads."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from creneau_web.pages.ops.entering import OperatorsPage

router = APIRouter()


@router.get("/ops/que-faire", response_class=HTMLResponse)
async def runbook(page: OperatorsPage) -> HTMLResponse:
    """The guide's own words, in English, as `python -m tests.docs.runbook` has drawn them."""
    return await page.show("ops/runbook.html", guide=guide())


@cache
def guide() -> Markup:
    """The guide's part as HTML: ours, from the package."""
    return Markup(files("creneau_web").joinpath("ops/runbook.fragment").read_text(encoding="utf-8"))  # noqa: S704
