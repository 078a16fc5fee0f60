"""What every public site owes its readers: accessibility, personal data, eco-design, help, who runs it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from creneau_web.page import CurrentPage

router = APIRouter()

ASSESSED_ON = date(2026, 11, 28)
"""when the criteria were last gone through"""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How many criteria of RGAA 4.1 hold, do not hold, or do not apply."""

    met: int
    missed: int
    about_nothing: int
    gaps: tuple[str, ...]
    """numbers of the criteria that do not hold"""

    @property
    def rate(self) -> int:
        """Share of met criteria among those that apply, per cent, rounded down."""
        return 100 * self.met // (self.met + self.missed)


@cache
def assessment() -> Assessment:
    """Counted from the table of criteria."""
    text = files("creneau_web.data").joinpath("rgaa.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter=";"))
    return Assessment(
        met=sum(row["state"] == "C" for row in rows),
        missed=sum(row["state"] == "NC" for row in rows),
        about_nothing=sum(row["state"] == "NA" for row in rows),
        gaps=tuple(row["criterion"] for row in rows if row["state"] == "NC"),
    )


@dataclass(frozen=True, slots=True)
class Weight:
    """What was asked for over the wire, and how much came back."""

    requests: int
    kilobytes: int


@cache
def weights() -> dict[str, Weight]:
    """`first`: a first page; `booking`: all of a booking, from the home page on, by somebody who is logged in. As declared;
    a test in a browser measures both anew (X18)."""
    text = files("creneau_web.data").joinpath("eco.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter=";")
    return {row["what"]: Weight(int(row["requests"]), int(row["kilobytes"])) for row in rows}


@router.get("/accessibilite", response_class=HTMLResponse)
async def accessibility(page: CurrentPage) -> HTMLResponse:
    """The declaration: without an audit, the law has it say "non conforme"; the figures are our own."""
    return await page.show("about/accessibility.html", assessment=assessment(), assessed_on=ASSESSED_ON)


@router.get("/donnees-personnelles", response_class=HTMLResponse)
async def personal_data(page: CurrentPage) -> HTMLResponse:
    """The notice (RGPD, article 13)."""
    return await page.show("about/personal_data.html")


@router.get("/eco-conception", response_class=HTMLResponse)
async def eco_design(page: CurrentPage) -> HTMLResponse:
    """What a page weighs, and what is done so that it weighs little."""
    return await page.show("about/eco_design.html", measured_on=ASSESSED_ON, weights=weights())


@router.get("/aide", response_class=HTMLResponse)
async def help_(page: CurrentPage) -> HTMLResponse:
    """Questions that people have, and the ways that need no screen."""
    return await page.show("about/help.html")


@router.get("/mentions-legales", response_class=HTMLResponse)
async def legal(page: CurrentPage) -> HTMLResponse:
    """Who runs this."""
    return await page.show("about/legal.html")
