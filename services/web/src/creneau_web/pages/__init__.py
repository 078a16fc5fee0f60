"""One file a screen: what it shows, what it takes, where it leads."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.routing import Route

from creneau_web.pages import (
    about,
    assets,
    back_channel,
    by_link,
    console,
    home,
    language,
    login,
    professional,
    report,
    results,
    sign_in,
    sign_in_code,
    times,
)
from creneau_web.pages.booking import against, beside, check, choose, identity, step, taken, who
from creneau_web.pages.mine import (
    answering,
    appointment,
    appointments,
    cancelling,
    data,
    journal,
    messages,
    moving,
    relatives,
    space,
    waiting,
)
from creneau_web.pages.ops import board, letters, runbook


def routers() -> list[APIRouter]:
    """Every screen, in the order of the journey."""
    screens = (
        home, results, professional, times, choose, step, who, identity, beside, check, taken, against, appointments, appointment,
        cancelling, answering, moving, waiting, space, journal, data, messages, relatives, sign_in, sign_in_code,
        by_link, language, login, about, report, console, board, letters, runbook, assets,
    )  # fmt: skip
    return [screen.router for screen in screens]


def all_routes() -> list[Route]:
    """Every route, also the one that only providers know."""
    every = (*routers(), back_channel.router)
    return [route for router in every for route in router.routes if isinstance(route, Route)]


def shown_paths() -> frozenset[str]:
    """The paths of routes that answer GET; the others only take forms."""
    return frozenset(route.path for route in all_routes() if "GET" in (route.methods or ()))
