"""What was sent to me."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from creneau_web.care.model import PARIS
from creneau_web.fhir.client import next_cursor
from creneau_web.fhir.values import entries
from creneau_web.page import SignedInPage
from creneau_web.people.messages import message_of
from creneau_web.people.records import people_of

router = APIRouter()

PAGE = "30"


@router.get("/mes-messages", response_class=HTMLResponse)
async def messages(
    page: SignedInPage, suite: Annotated[str | None, Query(max_length=2000)] = None
) -> HTMLResponse:
    """Messages to me and to those whom I represent: when, by what, and whether they left."""
    people = await people_of(page.fhir)
    found, following = [], None
    if people:
        recipients = ",".join(f"Patient/{person.id}" for person in people)
        query = [("recipient", recipients), ("_sort", "-sent"), ("_count", PAGE)]
        bundle = await page.fhir.page_of("Communication", query, suite)
        found = [message_of(one) for one in entries(bundle, "Communication")]
        following = next_cursor(bundle)
    names = {person.id: person.name for person in people} if len(people) > 1 else {}
    return await page.show("mine/messages.html", messages=found, names=names, following=following, zone=PARIS)
