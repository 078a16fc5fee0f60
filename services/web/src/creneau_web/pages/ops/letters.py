"""The buttons beside a dead letter: handled again, or given up for a reason."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from creneau_web.fhir.refusal import RefusedError
from creneau_web.page import Page
from creneau_web.pages.ops.entering import OperatorsPage

router = APIRouter()

Id = Annotated[str, Form(max_length=100)]
REASON_CHARACTERS_MIN = 3
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
async def discard(page: OperatorsPage, id: Id, reason: Annotated[str, Form(max_length=500)] = "") -> Response:  # noqa: A002
    """Give one letter up; without a reason the page asks for it."""
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        await page.say_next("ops.letters.why_needed")
        return page.go("/ops")
    said = [{"name": "id", "valueString": id}, {"name": "reason", "valueString": reason.strip()}]
    try:
        await page.fhir.operation("$discard-dead-letter", said)
    except RefusedError as refused:
        return await _refused(page, refused)
    await page.say_next("ops.letters.discarded")
    return page.go("/ops")


async def _refused(page: Page, refused: RefusedError) -> Response:
    """Somebody else was faster: the list tells. Everything else is told as everywhere."""
    if refused.refusal.status not in (404, 409):
        raise refused
    await page.say_next("ops.letters.dealt_with")
    return page.go("/ops")
