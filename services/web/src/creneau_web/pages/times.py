"""A week of somebody's free times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from creneau_web.care.model import Opening, Professional
from creneau_web.care.soonest import is_connected, next_fitting, next_openings, openings_between
from creneau_web.page import CurrentPage, Page
from creneau_web.pages.booking.draft import release_holds_at

router = APIRouter()

PartOfDay = Literal["", "matin", "apres-midi", "soir"]
PARTS: dict[PartOfDay, tuple[time, time]] = {
    "matin": (time(0), time(12)),
    "apres-midi": (time(12), time(18)),
    "soir": (time(18), time.max),
}
WEEK = timedelta(days=7)
AHEAD_MAX = timedelta(days=3_653)
"""no agenda has times in weeks further away"""
FIRST = 60
"""free times that are asked for at first: more than most weeks have"""


class Wish(BaseModel):
    """Which week, for what, at which time of day."""

    du: date | None = None
    """first day that is shown; none: the first on which there is something"""
    motif: str = Field("", max_length=200)
    moment: PartOfDay = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the week that is shown."""

    day: date
    openings: tuple[Opening, ...]


@router.get("/soignants/{role}/creneaux", response_class=HTMLResponse)
async def times(page: CurrentPage, role: str, wish: Annotated[Wish, Query()]) -> HTMLResponse:
    """Seven days as headings with their times. Coming back here gives up what one had held with this professional."""
    professional = await page.site.directory.professional(page.fhir, role)
    released = await release_holds_at(page, role)
    return await show_week(page, professional, wish, "times.html", released=released)


async def show_week(
    page: Page, professional: Professional, wish: Wish, template: str, **values: Any
) -> HTMLResponse:
    """The week that is wished for, or the first with something in it."""
    now = page.site.clock.now().astimezone(professional.zone)
    # The first week comes with the first times: one request instead of two.
    first = await next_openings(page.fhir, professional, now, 1 if wish.du else FIRST)
    monday = _first_day(wish, first, now)
    begin = max(now, datetime.combine(monday, time(0), professional.zone))
    end = datetime.combine(monday + WEEK, time(0), professional.zone)
    if wish.du or (len(first) == FIRST and first[-1].start < end):
        openings = await openings_between(page.fhir, professional, begin, end)
    else:
        openings = [opening for opening in first if opening.start < end]
    fitting = [opening for opening in openings if _fits(opening, wish)]
    following = None
    if not fitting:
        following = await next_fitting(page.fhir, professional, end, lambda opening: _fits(opening, wish))
    connected = bool(first) or await is_connected(page.fhir, professional)
    return await page.show_form(
        template,
        professional=professional,
        wish=wish,
        days=[Day(day, tuple(o for o in fitting if o.day == day)) for day in _days(monday, now.date())],
        monday=monday,
        earlier=monday - WEEK if monday > now.date() else None,
        later=monday + WEEK,
        following=following,
        any_free=bool(first),
        connected=connected,
        parts=("matin", "apres-midi", "soir"),
        **values,
    )


def _first_day(wish: Wish, first: list[Opening], now: datetime) -> date:
    """The Monday of the week that is shown, or today in the present week."""
    wished = min(wish.du or (first[0].day if first else now.date()), now.date() + AHEAD_MAX)
    monday = wished - timedelta(days=wished.weekday())
    return max(monday, now.date() - timedelta(days=now.weekday()))


def _days(monday: date, today: date) -> list[date]:
    return [day for n in range(7) if (day := monday + timedelta(days=n)) >= today]


def _fits(opening: Opening, wish: Wish) -> bool:
    if wish.motif and opening.reason != wish.motif:
        return False
    if not wish.moment:
        return True
    low, high = PARTS[wish.moment]
    return low <= opening.start.time() < high
