"""The buttons beside a dead letter: handled again, or given up for a reason."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import Page
from creneau_web.pages.ops.board import REASON_CHARACTERS_MAX, REASON_CHARACTERS_MIN, GivingUp, show_board
from creneau_web.pages.ops.entering import OperatorsPage
from creneau_web.typed import TYPED_MAX

router = APIRouter()

Id = Annotated[str, Form(max_length=100)]
OUTCOMES = {"replayed": "ops.letters.replayed", "lost": "ops.letters.lost", "waiting": "ops.letters.again"}


@router.post("/ops/messages-morts/rejouer", response_model=None)
async def replay(page: OperatorsPage, id: Id) -> Response:  # noqa: A002 - the field's name
    """Have one letter handled again, and say what became of it."""
    try:
        answer = await page.fhir.operation("$replay-dead-letter", [{"name": "id", "valueString": id}])
    except RefusedError as refused:
        return await _refused(page, refused)
    states = [p["valueCode"] for p in answer.resource.get("parameter", ()) if p["name"] == "state"]
    await page.say_next(OUTCOMES.get(states[0] if states else "", "ops.letters.again"))
    return page.go("/ops")


@router.post("/ops/messages-morts/abandonner", response_model=None)
async def discard(
    page: OperatorsPage,
    id: Id,  # noqa: A002
    reason: Annotated[str, Form(max_length=TYPED_MAX)] = "",
) -> Response:
    """Give one letter up; a reason that will not do stands in its field again, and nothing is done."""
    problem = problem_of(reason.strip())
    if problem:
        return await show_board(page, GivingUp(id, reason, problem), 422)
    said = [{"name": "id", "valueString": id}, {"name": "reason", "valueString": reason.strip()}]
    try:
        await page.fhir.operation("$discard-dead-letter", said)
    except RefusedError as refused:
        return await _refused(page, refused)
    await page.say_next("ops.letters.discarded")
    return page.go("/ops")


def problem_of(reason: str) -> str | None:
    """Key of what is wrong with a reason."""
    if len(reason) < REASON_CHARACTERS_MIN:
        return "ops.letters.problem.why"
    return "form.problem.long" if len(reason) > REASON_CHARACTERS_MAX else None


async def _refused(page: Page, refused: RefusedError) -> Response:
    """Redirects to the list if somebody else was faster (404, 409); raises any other refusal again."""
    if refused.refusal.status not in (404, 409):
        raise refused
    await page.say_next("ops.letters.dealt_with")
    return page.go("/ops")
