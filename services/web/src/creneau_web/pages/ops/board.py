"""Is it working, since when not, for whom not, what changed, what is lost or doubled, what to do: one page."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from creneau_web.fhir.refusal import RefusedError, UnreachableError
from creneau_web.ops.report import differing
from creneau_web.page import Page
from creneau_web.pages.ops.entering import OperatorsPage, is_operator
from creneau_web.pages.ops.view import Words, sparkline

router = APIRouter()

REASON_CHARACTERS_MIN = 3
REASON_CHARACTERS_MAX = 500
"""of why a letter is given up; as the base takes it"""


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters as the FHIR base tells of them: none are known where it does not."""

    known: bool
    letters: tuple[dict[str, object], ...] = ()
    unavailable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivingUp:
    """A letter that is being given up: its id, the reason as it was typed, and what is wrong with that."""

    letter: str = ""
    reason: str = ""
    problem: str | None = None


@router.get("/ops", response_class=HTMLResponse)
async def board(page: OperatorsPage) -> HTMLResponse:
    """Drawn from what is in memory: it answers also when nothing else does. An operator's session was read from the pages'
    database, so theirs tells of the reports there too."""
    unsent = page.unsent
    giving_up = GivingUp(unsent.text("id"), unsent.text("reason"), next(iter(unsent.problems.values()), None))
    return await show_board(page, giving_up)


async def show_board(page: Page, giving_up: GivingUp, status: int = 200) -> HTMLResponse:
    """The page, with the one form that was begun."""
    acts = is_operator(page.account)
    letters = await _letters(page) if acts else Letters(known=False)
    report = page.site.collector.report()
    show = page.show_form if acts and letters.letters else page.show
    return await show(
        "ops/board.html",
        status,
        report=report,
        says=Words(page.wording, report),
        sparkline=sparkline,
        letters=letters,
        reported=await page.site.reports.tally() if acts else None,
        giving_up=giving_up,
        begun=next((n for n, one in enumerate(letters.letters, 1) if one["id"] == giving_up.letter), 0),
        reason_least=REASON_CHARACTERS_MIN,
        reason_most=REASON_CHARACTERS_MAX,
        acts=acts,
        differing=differing(report.processes),
        grafana=page.site.collector.metrics_url,
    )


@router.get("/ops/", include_in_schema=False)
async def with_a_slash(page: OperatorsPage) -> RedirectResponse:
    """People type it."""
    return page.go("/ops")


async def _letters(page: Page) -> Letters:
    try:
        parameters = (await page.fhir.operation("$dead-letters")).resource.get("parameter", ())
    except (RefusedError, UnreachableError):
        return Letters(known=False)
    letters = [_values(part["part"]) for part in parameters if part["name"] == "letter"]
    away = [str(part["valueString"]) for part in parameters if part["name"] == "unavailable"]
    return Letters(True, tuple(letters), tuple(away))


def _values(parts: list[dict[str, object]]) -> dict[str, object]:
    return {str(p["name"]): next(v for name, v in p.items() if name.startswith("value")) for p in parts}
