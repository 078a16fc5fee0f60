"""My appointments, and those of the people whom I represent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from creneau_web.care.model import PARIS
from creneau_web.page import Page, SignedInPage
from creneau_web.pages.mine.waiting import whom_of
from creneau_web.people.records import people_of
from creneau_web.visits.model import Visit
from creneau_web.visits.records import Visits, recent, visits_before, visits_from, visits_off
from creneau_web.visits.records import visit as read_visit
from creneau_web.visits.waiting import Waiting, all_waiting

router = APIRouter()

NOTHING = Visits(())
YEAR_MAX = 4_000_000_000
"""seconds; beyond it there are no appointments"""


class Wanted(BaseModel):
    """Whose, and which page of which list."""

    qui: str = Field("", max_length=64)
    """id of a Patient; empty: everybody's"""
    liste: Literal["", "avenir", "passes"] = ""
    """empty: the first page of both"""
    suite: str | None = Field(None, max_length=2000)
    """where the page begins"""
    au: int = Field(0, ge=0, le=YEAR_MAX)
    """the instant (Unix) that parted both lists on the first page: the others go on from the same one"""


@router.get("/mes-rendez-vous", response_class=HTMLResponse)
async def appointments(page: SignedInPage, wanted: Annotated[Wanted, Query()]) -> HTMLResponse:
    """What is to come, by date; what is past or cancelled, the latest first. Whose, where there are several people."""
    people = await people_of(page.fhir)
    patient = wanted.qui if wanted.qui in {person.id for person in people} else None
    now = page.site.clock.now()
    begin = datetime.fromtimestamp(wanted.au, UTC) if wanted.au else recent(now).replace(microsecond=0)
    coming, past = await _lists(page, wanted, begin, patient)
    waits = await all_waiting(page.fhir, patient) if wanted.liste == "" else []
    offered = {one.id for one in waits}
    live = [visit for visit in coming.visits if visit.is_live(now) and visit.id not in offered]
    return await page.show(
        "mine/appointments.html",
        people=people,
        names={person.id: person.name for person in people},
        patient=patient,
        wanted=wanted,
        coming=live,
        now=now,
        waits=waits,
        whom={one.id: await whom_of(page, one) for one in waits},
        places=await _places(page, waits, coming.visits),
        zone=PARIS,
        past=[*_over(coming, now), *past.visits],
        more_coming=coming.following,
        more_past=past.following,
        since=str(int(begin.timestamp())),
    )


async def _places(page: Page, waits: Sequence[Waiting], coming: Sequence[Visit]) -> dict[str, Visit]:
    """The visits that are offered, by id: where they would be, and by which clock."""
    known = {visit.id: visit for visit in coming}
    return {
        one.id: known.get(one.id) or await read_visit(page.fhir, page.site.directory, one.id)
        for one in waits
        if one.is_offer
    }


async def _lists(page: Page, wanted: Wanted, begin: datetime, patient: str | None) -> tuple[Visits, Visits]:
    """Appointments to come, and the rest: a page of one of them, or the first of both."""
    if wanted.liste == "avenir":
        return await visits_from(page.fhir, page.site.directory, begin, patient, wanted.suite), NOTHING
    if wanted.liste == "passes":
        return NOTHING, await visits_before(page.fhir, page.site.directory, begin, patient, wanted.suite)
    coming = await visits_from(page.fhir, page.site.directory, begin, patient)
    off = await visits_off(page.fhir, page.site.directory, begin, patient)
    before = await visits_before(page.fhir, page.site.directory, begin, patient)
    return coming, Visits((*off.visits, *before.visits), before.following)


def _over(coming: Visits, now: datetime) -> list[Visit]:
    """Those that have just ended, the latest first."""
    return [visit for visit in reversed(coming.visits) if not visit.is_live(now)]
