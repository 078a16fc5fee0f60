"""The first calls of the README, made from a page: for developers, where the people are invented (DEMONSTRATION)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from creneau_web.fhir.client import JSON
from creneau_web.page import CurrentPage, Page

router = APIRouter(prefix="/console")

SHOWN_MAX = 6_000
"""characters of an answer that are shown"""
AHEAD = timedelta(days=60)
JSON_PATCH = "application/json-patch+json"

Known = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it needs to know, how it is made from that, and what is learnt of its answer."""

    name: str
    method: str
    path: Callable[[Known], str]
    needs: tuple[str, ...] = ()
    signed_in: bool = False
    body: Callable[[Known], object] | None = None
    media_type: str = JSON
    learns: Callable[[Mapping[str, Any]], dict[str, str]] = lambda _: {}


class Made(BaseModel):
    """A call that was made: both sides of it."""

    name: str
    request: str
    status: int
    milliseconds: int
    answer: str


def _first_id(name: str) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """The id of the resource, or of the first in its Bundle, under a name."""

    def learn(resource: Mapping[str, Any]) -> dict[str, str]:
        entries = [entry.get("resource", {}) for entry in resource.get("entry", ())]
        ids = [
            one["id"] for one in (resource, *entries) if one.get("resourceType") != "Bundle" and "id" in one
        ]
        return {name: ids[0]} if ids else {}

    return learn


def _patient(_: Known) -> object:
    return {
        "resourceType": "Patient",
        "name": [{"family": "Martin", "given": ["Camille"]}],
        "telecom": [{"system": "email", "value": "camille@exemple.fr"}],
    }


def _hold(known: Known) -> object:
    wanted = [
        {"name": "appt-id", "valueUri": known["proposal"]},
        {"name": "patient-id", "valueUri": f"Patient/{known['patient']}"},
    ]
    return {"resourceType": "Parameters", "parameter": wanted}


CALLS: tuple[Call, ...] = (
    Call(
        "who",
        "GET",
        lambda _: (
            "/PractitionerRole?specialty=SM54&location.address-city=Rennes"
            "&_include=PractitionerRole:practitioner&_count=2"
        ),
    ),
    Call(
        "propose",
        "GET",
        lambda known: (
            f"/Appointment/$find?start={known['from']}&end={known['until']}&specialty=SM54"
            "&location-string=Rennes&_count=2"
        ),
        learns=_first_id("proposal"),
    ),
    Call("register", "POST", lambda _: "/Patient", (), True, _patient, learns=_first_id("patient")),
    Call(
        "hold",
        "POST",
        lambda _: "/Appointment/$hold",
        ("proposal", "patient"),
        True,
        _hold,
        learns=_first_id("appointment"),
    ),
    Call(
        "book",
        "POST",
        lambda known: f"/Appointment/{known['appointment']}/$book",
        ("appointment",),
        True,
        lambda _: {"resourceType": "Parameters"},
    ),
    Call("read", "GET", lambda known: f"/Appointment/{known['appointment']}", ("appointment",), True),
    Call(
        "cancel",
        "PATCH",
        lambda known: f"/Appointment/{known['appointment']}",
        ("appointment",),
        True,
        lambda _: [{"op": "replace", "path": "/status", "value": "cancelled"}],
        JSON_PATCH,
    ),
)


@router.get("", response_class=HTMLResponse)
async def console(page: CurrentPage) -> HTMLResponse:
    """Every call in order, with what is still missing before it can be made."""
    return await _show(page, await _known(page), None)


@router.post("/{name}", response_class=HTMLResponse)
async def make(page: CurrentPage, name: str) -> HTMLResponse:
    """Make one call with the person's token, and show both sides of it."""
    known = await _known(page)
    call = next((call for call in CALLS if call.name == name), None)
    if call is None or _missing(page, call, known):
        return await _show(page, known, None, 422)
    path = call.path(known)
    body = call.body(known) if call.body else None
    began = time.perf_counter()
    answer = await page.fhir.exchange(call.method, path, body, media_type=call.media_type)
    milliseconds = round((time.perf_counter() - began) * 1000)
    said = _json(answer.content)
    if answer.is_success and isinstance(said, dict):
        known = {**known, **call.learns(said)}
        session = await page.own_session()
        session.content = session.content.model_copy(update={"console": known})
        await page.site.sessions.save(session)
    made = Made(
        name=call.name,
        request=_request(call.method, path, body, signed_in=page.account is not None),
        status=answer.status,
        milliseconds=milliseconds,
        answer=_pretty(said)[:SHOWN_MAX],
    )
    return await _show(page, known, made)


async def _known(page: Page) -> dict[str, str]:
    """What earlier calls of this session have learnt, and the days to look at. 404 outside a demonstration."""
    if not page.site.settings.demonstration:
        raise HTTPException(404)
    session = await page.own_session()
    today = page.site.clock.now().date()
    return {**session.content.console, "from": today.isoformat(), "until": (today + AHEAD).isoformat()}


def _missing(page: Page, call: Call, known: Known) -> list[str]:
    """What must be known before: names of other calls' results, `account` for a log-in."""
    missing = [name for name in call.needs if name not in known]
    return [*(["account"] if call.signed_in and page.account is None else []), *missing]


async def _show(page: Page, known: Known, made: Made | None, status: int = 200) -> HTMLResponse:
    calls = [(call, _missing(page, call, known)) for call in CALLS]
    return await page.show_form("console.html", status, calls=calls, made=made)


def _request(method: str, path: str, body: object, *, signed_in: bool) -> str:
    """A request as a developer would write it; the token stays on the server."""
    lines = [f"{method} /fhir{path}", *(["Authorization: Bearer …"] if signed_in else [])]
    return "\n".join([*lines, *(["", _pretty(body)] if body is not None else [])])


def _json(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}


def _pretty(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
