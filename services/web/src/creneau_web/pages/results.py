"""Who fits, and when they are free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from creneau_web.care.finding import Found, Mode
from creneau_web.care.model import Card, Opening
from creneau_web.care.wanted import all_wanted
from creneau_web.page import CurrentPage
from creneau_web.pages.home import show_home
from creneau_web.typed import TYPED_MAX, too_long

router = APIRouter()

MOST = {"quoi": 200, "ou": 200}
"""characters of each field"""
DAYS_SHOWN = 3
TIMES_A_DAY = 4


class Search(BaseModel):
    """The three fields of the home page."""

    quoi: str = Field("", max_length=TYPED_MAX)
    ou: str = Field("", max_length=TYPED_MAX)
    comment: Mode = ""
    page: int = Field(1, ge=1, le=100)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a card with its first free times."""

    day: date
    openings: tuple[Opening, ...]


@router.get("/recherche", response_class=HTMLResponse)
async def results(page: CurrentPage, search: Annotated[Search, Query()]) -> HTMLResponse:
    """Cards, soonest first; a page of choices where the town is not clear; words where nobody is found. More than a search
    takes is shown in its fields again."""
    problems = too_long(search.model_dump(), MOST)
    if problems:
        return await show_home(page, 422, search.quoi, search.ou, search.comment, problems)
    found = await page.site.finding.find(page.fhir, search.quoi, search.ou, search.comment, search.page)
    if found.choices:
        return await page.show("choose_town.html", search=search, found=found)
    return await page.show_form(
        "results.html",
        search=search,
        found=found,
        cards=[(card, days_of(card)) for card in found.cards],
        pages=found.pages,
        heading=_subject(page, found),
        wanted=all_wanted(),
    )


def days_of(card: Card) -> list[Day]:
    """The first days on which somebody is free, with the first times of each."""
    by_day = groupby(card.availability.openings, key=lambda opening: opening.day)
    days = [Day(day, tuple(openings)[:TIMES_A_DAY]) for day, openings in by_day]
    return days[:DAYS_SHOWN]


def _subject(page: CurrentPage, found: Found) -> str:
    """What was understood, as the heading says it."""
    whom = found.who
    town = found.town.name if found.town else None
    if whom and town:
        return page.wording.t("results.subject.both", who=whom, town=town)
    if town:
        return page.wording.t("results.subject.town", town=town)
    return whom or page.wording.t("results.subject.all")
