"""One appointment: where, when, and what can be done about it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from creneau_web.page import PERSONAL, Page, VisitPage
from creneau_web.people.messages import message_of
from creneau_web.people.model import Person
from creneau_web.people.reach import reach_of
from creneau_web.people.records import people_of
from creneau_web.visits.calendar import calendar_file
from creneau_web.visits.model import Visit
from creneau_web.visits.records import messages_to_patient, series_of, time_before
from creneau_web.visits.records import visit as read_visit
from creneau_web.visits.waiting import waits_for_earlier

router = APIRouter(prefix="/rendez-vous")

ID = re.compile(r"[A-Za-z0-9.-]*[A-Za-z0-9]")
TOLD = frozenset({"done.booked", "move.done", "cancel.done", "cancel.done.series", "waiting.done.accepter"})
"""actions just done that a message tells as well, if it reaches the person"""


@dataclass(frozen=True, slots=True)
class Whom:
    """For whom a visit is."""

    name: str | None
    person: Person | None = None
    """what the account may see of them"""

    @property
    def acting(self) -> bool:
        """Whether it is somebody whom the account represents."""
        return self.person is not None and not self.person.oneself


@router.get("/{id_}", response_model=None)
async def appointment(page: VisitPage, id_: str) -> HTMLResponse | RedirectResponse:
    """The appointment, also as what a confirmed booking comes to."""
    clean = ID.match(id_)
    if clean and clean[0] != id_:
        return page.go(f"/rendez-vous/{clean[0]}")  # a mark that a mail program has drawn into the link
    visit = await read_visit(page.fhir, page.site.directory, id_)
    if visit.offered:
        return page.go(f"/liste-attente/{id_}")
    now = page.site.clock.now()
    live, by_link = visit.is_live(now), is_by_link(page)
    movable = visit.professional is not None and visit.may_still(visit.reschedulable_until, now)
    whom, sent, before, series, earlier = await asyncio.gather(
        patient_of(page, visit),
        messages_to_patient(page.fhir, visit),
        time_before(page.fhir, page.site.directory, visit) if live and not by_link else _nothing(),
        series_of(page.fhir, page.site.directory, visit),
        waits_for_earlier(page.fhir, visit.id, visit.patient) if movable else _nothing(),
    )
    messages = [message_of(one) for one in sent]
    return await page.show(
        "mine/appointment.html",
        visit=visit,
        live=live,
        now=now,
        cancelable=visit.may_still(visit.cancelable_until, now),
        movable=movable,
        late_to_move=visit.reschedulable_until is not None and visit.reschedulable_until <= now,
        can_until=min(_deadlines(visit, movable=movable), default=None),
        earlier=earlier,
        whom=whom.name,
        acting=whom.name if whom.acting else None,
        person=whom.person,
        reach=reach_of(whom.person, hidden=visit.hidden, texted=page.site.settings.texted, sent=messages),
        is_told=TOLD,
        by_link=by_link,
        before=before,
        series=series,
        messages=[one for one in messages if one.appointment == visit.id],
    )


@router.get("/{id_}/agenda.ics")
async def calendar(page: VisitPage, id_: str) -> Response:
    """The appointment for a calendar (P17)."""
    visit = await read_visit(page.fhir, page.site.directory, id_)
    url = f"{page.site.settings.public_site_url}/rendez-vous/{visit.id}"
    content = calendar_file(visit, page.wording, url, page.site.clock.now())
    headers = {**PERSONAL, "Content-Disposition": 'attachment; filename="rendez-vous.ics"'}
    return Response(content, media_type="text/calendar; charset=utf-8; method=PUBLISH", headers=headers)


def _deadlines(visit: Visit, *, movable: bool) -> list[datetime]:
    """Until when it can be cancelled and, if that is possible here, moved."""
    stated = (visit.cancelable_until, visit.reschedulable_until if movable else None)
    return [until for until in stated if until is not None]


async def _nothing() -> None:
    return None


def is_by_link(page: Page) -> bool:
    """Whether the account is that of a message's link."""
    return page.account is not None and page.account.is_for_one_visit


async def acting_for(page: Page, visit: Visit) -> str | None:
    """The name of the patient when it is somebody whom the account represents."""
    whom = await patient_of(page, visit)
    return whom.name if whom.acting else None


async def patient_of(page: Page, visit: Visit) -> Whom:
    """For whom it is. The appointment itself need not name them, and a link's account sees no Patient."""
    if is_by_link(page):
        return Whom(visit.patient_name)
    people = await people_of(page.fhir)
    known = next((person for person in people if person.id == visit.patient), None)
    return Whom(known.name, known) if known else Whom(visit.patient_name)
