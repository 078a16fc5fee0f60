"""What each page of the journey asks the FHIR base for does not grow unseen: every request is some milliseconds of CPU in
four processes. Fewer fails as well: then the table is brought down. `make bench` measures what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from services.web.tests.wire import WireTo

from creneau_shared.clock import FixedClock
from creneau_web.app import create_app
from creneau_web.care.kept import Kept
from creneau_web.settings import WebSettings

from .conftest import COMPILED, SITE, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT, appointment

EXPIRES = "Mon, 30 Nov 2026 08:10:00 GMT"
ASKED = {
    "home": [],
    "results": ["GET /PractitionerRole/$find-care", "GET /Slot/$soonest"],
    "times": ["GET /Slot"],
    "choose": ["GET /Slot"],
    "held": ["POST /Patient/$acting-for", "POST /Appointment/$hold", "POST /Appointment/_search"],
    "check": ["POST /Patient/$acting-for", "POST /Patient/_search"],
    "confirm": ["POST /Appointment/a-1/$book"],
    "done": [
        "GET /Appointment/a-1",
        "POST /Communication/_search",
        "POST /Patient/$acting-for",
        "POST /Patient/_search",
    ],
}
"""of somebody who is known, and comes by the results; who has another appointment nearby or writes to the practice asks
for more"""


@pytest.fixture
async def person(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock
) -> AsyncIterator[Person]:
    """In front of pages that keep what they may keep, as they do in earnest."""
    settings = WebSettings(
        database_url=new_database(template=migrated_web),
        public_site_url=SITE,
        fhir_url=f"{SITE}/fhir",
        _env_file=None,
    )
    app = create_app(settings, clock, WireTo(httpx.MockTransport(fhir), f"{SITE}/fhir"))
    app.site.templates.bytecode_cache = COMPILED
    async with (
        app.pages.router.lifespan_context(app.pages),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        yield Person(client, app)


@pytest.fixture(autouse=True)
def base(fhir: FhirBase) -> None:
    booked = {**appointment("booked"), "serviceType": SLOT["serviceType"]}
    acting = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{CAMILLE['id']}"}},
        {"name": "oneself", "valueBoolean": True},
        {"name": "may", "valueCode": "book"},
    ]
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on(
        "POST",
        "/Patient/$acting-for",
        {"resourceType": "Parameters", "parameter": [{"name": "person", "part": acting}]},
    )
    fhir.on("POST", "/Appointment/$hold", appointment(), 201, Expires=EXPIRES)
    fhir.on("POST", "/Appointment/a-1/$book", booked)
    fhir.on("GET", "/Appointment/a-1", booked, ETag='W/"1"')


async def test_no_page_asks_for_more_than_it_did(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    found: dict[str, list[str]] = {}

    def asked_by(step: str) -> None:
        found[step] = sorted(f"{a.method} {a.path}" for a in fhir.asked)
        fhir.asked.clear()

    await person.open("/")
    asked_by("home")
    await person.open("/recherche?quoi=dermatologue")
    asked_by("results")
    times = await person.open("/soignants/role-1/creneaux")
    asked_by("times")
    chosen = await person.send(times.url.path, creneau="slot-1")
    asked_by("choose")
    held = await person.open(chosen.headers["location"])
    asked_by("held")
    check = await person.open(held.headers["location"])
    asked_by("check")
    booked = await person.send(check.url.path)
    asked_by("confirm")
    done = await person.open(booked.headers["location"])
    asked_by("done")
    assert "confirmé" in done.text
    assert found == {step: sorted(requests) for step, requests in ASKED.items()}


async def test_when_somebody_is_free_is_asked_each_time(person: Person, fhir: FhirBase) -> None:
    """P16: a time that somebody gives back or takes shows at once, however long who fits is kept."""
    assert "mardi 1er décembre" in (await person.open("/recherche?quoi=dermatologue")).text
    fhir.on("GET", "/Slot/$soonest", searchset())
    later = await person.open("/recherche?quoi=dermatologue")
    assert "mardi 1er décembre" not in later.text
    asked = [a.path for a in fhir.asked]
    assert (asked.count("/PractitionerRole/$find-care"), asked.count("/Slot/$soonest")) == (1, 2)


async def test_while_agendas_cannot_be_asked_who_is_there_still_shows(person: Person, fhir: FhirBase) -> None:
    """The directory answers, booking does not: people find whom to telephone; and who asks too much is told so."""
    for status in (502, 503):
        fhir.refuse("GET", "/Slot/$soonest", status, "unavailable")
        page = await person.open("/recherche?quoi=dermatologue")
        assert page.status_code == 200
        assert "téléphonez" in page.text
        assert PRACTITIONER["name"][0]["family"] in page.text
    fhir.refuse("GET", "/Slot/$soonest", 429, "throttled")
    assert (await person.open("/recherche?quoi=dermatologue")).status_code == 429


async def test_what_several_ask_at_once_is_asked_once() -> None:
    """And never kept for who comes after it was answered, nor for anybody when it failed."""
    kept, may_answer = Kept[int](0), asyncio.Event()
    asked: list[None] = []

    async def make() -> int:
        asked.append(None)
        await may_answer.wait()
        if len(asked) == 2:
            raise ConnectionError
        return len(asked)

    first, second = (asyncio.ensure_future(kept.get("who", make)) for _ in range(2))
    await asyncio.sleep(0)
    may_answer.set()
    assert [await first, await second] == [1, 1]
    with pytest.raises(ConnectionError):
        await kept.get("who", make)
    assert await kept.get("who", make) == 3


async def test_what_has_failed_is_kept_for_nobody_though_its_asker_has_gone() -> None:
    kept = Kept[int](60)

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ConnectionError

    async def answer() -> int:
        return 7

    gone = asyncio.ensure_future(kept.get("who", fail))
    await asyncio.sleep(0)
    gone.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert await kept.get("who", answer) == 7
