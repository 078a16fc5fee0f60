"""Who looked at my data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from creneau_web.care.model import PARIS
from creneau_web.fhir.client import next_cursor
from creneau_web.fhir.values import entries
from creneau_web.page import SignedInPage
from creneau_web.people.access import access_of, runs_of
from creneau_web.people.model import own
from creneau_web.people.records import people_of

router = APIRouter()

PAGE = "50"


@router.get("/mes-donnees/journal", response_class=HTMLResponse)
async def journal(
    page: SignedInPage,
    qui: Annotated[str, Query(max_length=64)] = "",
    suite: Annotated[str | None, Query(max_length=2000)] = None,
) -> HTMLResponse:
    """Each access to one's own record, the latest first, by the clock of Paris; one's own looks in a row are one line, which
    opens. Nobody is told who saw the record of somebody whom they represent."""
    people = [person for person in await people_of(page.fhir) if person.oneself]
    person = next((one for one in people if one.id == qui), own(people) or next(iter(people), None))
    runs, following = [], None
    if person is not None:
        query = [("patient", f"Patient/{person.id}"), ("_sort", "-date"), ("_count", PAGE)]
        bundle = await page.fhir.page_of("AuditEvent", query, suite)
        accesses = (access_of(event) for event in entries(bundle, "AuditEvent"))
        runs = runs_of(accesses, f"Patient/{person.id}")
        following = next_cursor(bundle)
    return await page.show(
        "mine/journal.html", people=people, person=person, runs=runs, following=following, zone=PARIS
    )
