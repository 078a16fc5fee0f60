"""One's own appointments: to come, past, by person, page by page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import Asked, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, appointment
from .test_mine import LOU
from .test_waiting_list import offer

NEXT = "https://creneau.example/fhir/Appointment?_cursor=sealed"
AND_MORE = [{"relation": "next", "url": NEXT}]


@pytest.fixture(autouse=True)
async def signed_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE, LOU))
    await person.sign_in()


def searches(fhir: FhirBase) -> list[dict[str, str]]:
    return [dict(asked.query) for asked in fhir.asked if asked.path == "/Appointment/_search"]


def answer_by(fhir: FhirBase, coming: dict[str, Any], off: dict[str, Any], past: dict[str, Any]) -> None:
    """What is asked from a moment on, what of that is cancelled, and what was before."""
    for of, status, bundle in (("ge", "booked", coming), ("ge", "cancelled", off), ("lt", "", past)):
        answers = FhirBase()
        answers.on("POST", "/Appointment/_search", bundle)

        def say(asked: Asked, of: str = of, status: str = status, answer: Any = answers.rules[0]) -> Any:
            query = dict(asked.query)
            fits = query.get("date", "").startswith(of) and status in query.get("status", "")
            return answer(asked) if fits else None

        fhir.rules.append(say)


async def test_what_is_to_come_stands_before_what_is_past_or_cancelled(
    person: Person, fhir: FhirBase
) -> None:
    booked, off = appointment("booked"), appointment("cancelled", id="a-2", start="2026-12-05T06:00:00Z")
    ended = appointment("booked", id="a-3", start="2026-11-30T06:00:00Z", end="2026-11-30T06:15:00Z")
    old = appointment("fulfilled", id="a-4", start="2026-10-01T06:00:00Z", end="2026-10-01T06:15:00Z")
    answer_by(fhir, searchset(ended, booked), searchset(off), searchset(old))
    text = (await person.open("/mes-rendez-vous")).text
    coming, _, past = text.partition('id="past"')
    assert "/rendez-vous/a-1" in coming
    assert [id_ in past for id_ in ("/a-1", "/a-2", "/a-3", "/a-4")] == [False, True, True, True]
    assert "annulé" in past


async def test_what_is_offered_is_told_by_the_clock_of_its_place(person: Person, fhir: FhirBase) -> None:
    """Whoever accepts from the list comes at that hour; times of far away say whose they are."""
    fhir.on("GET", "/Appointment/a-1", offer())
    answer_by(fhir, searchset(), searchset(), searchset())
    fhir.on("POST", "/Appointment/_search", searchset(offer()))
    page = (await person.open("/mes-rendez-vous")).text
    assert "Une place se libère" in page
    assert "1er décembre à 10 h" in page, "not at 7 h, as it is in Paris"
    assert "2 décembre à 0 h" in page
    assert "Heures locales (Saint-Denis)" in page


def given_back(id_: str, **other: Any) -> dict[str, Any]:
    """A time that was only held."""
    released = appointment("cancelled", id=id_, **other)
    released["participant"] = [
        {**p, "status": "tentative"} if "Patient/" not in p["actor"]["reference"] else p
        for p in released["participant"]
    ]
    return released


EARLIER = {"start": "2026-10-01T06:00:00Z", "end": "2026-10-01T06:15:00Z"}


def page_by_page(fhir: FhirBase, of: str, *pages: dict[str, Any]) -> None:
    """Pages of the searches from a moment on, or before it, that name the next one."""

    def say(asked: Asked) -> httpx.Response | None:
        query = dict(asked.query)
        if asked.path != "/Appointment/_search" or not query.get("date", "").startswith(of):
            return None
        if of == "ge" and "cancelled" not in query["status"]:
            return None
        number = int(query.get("_cursor", "0"))
        url = f"https://creneau.example/fhir/Appointment?_cursor={number + 1}"
        link = [{"relation": "next", "url": url}] if number + 1 < len(pages) else []
        return httpx.Response(200, json={**pages[number], "link": link})

    fhir.rules.append(say)


async def test_what_was_only_held_crowds_out_no_visit(person: Person, fhir: FhirBase) -> None:
    """Twenty times were looked at since: a visit that the practice has cancelled is told all the same, and so is a past
    one."""
    held = [given_back(f"held-{n}") for n in range(20)]
    looked_at = [given_back(f"past-{n}", **EARLIER) for n in range(20)]
    page_by_page(fhir, "ge", searchset(*held), searchset(appointment("cancelled", id="a-3")))
    page_by_page(fhir, "lt", searchset(*looked_at), searchset(appointment("fulfilled", id="a-4", **EARLIER)))
    past = (await person.open("/mes-rendez-vous")).text.partition('id="past"')[2]
    assert "/rendez-vous/a-3" in past
    assert "/rendez-vous/a-4" in past
    assert "held-" not in past


async def test_who_has_looked_at_very_many_times_is_led_on(person: Person, fhir: FhirBase) -> None:
    """Only so many pages are read for one of ours; the link to the older ones stands, even under no visit."""
    looked_at = searchset(*(given_back(f"past-{n}", **EARLIER) for n in range(20)))
    last = searchset(appointment("fulfilled", id="a-4", **EARLIER))
    page_by_page(fhir, "lt", *([looked_at] * 6), last)
    first = (await person.open("/mes-rendez-vous")).text
    link = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "Rendez-vous plus anciens" in first
    assert "/rendez-vous/a-4" in (await person.open(link)).text


async def test_a_time_that_was_only_held_is_no_appointment(person: Person, fhir: FhirBase) -> None:
    """Whoever looked at three times before they took one has not cancelled two visits."""
    off = searchset(given_back("a-2"), appointment("cancelled", id="a-3"))
    answer_by(fhir, searchset(), off, searchset())
    text = (await person.open("/mes-rendez-vous")).text
    assert "/rendez-vous/a-3" in text
    assert "/rendez-vous/a-2" not in text


async def test_the_list_of_one_person_is_theirs(person: Person, fhir: FhirBase) -> None:
    """Nobody else's id does anything."""
    page = await person.open("/mes-rendez-vous?qui=lou")
    assert '<span aria-current="true">Lou Martin</span>' in page.text
    assert {query["patient"] for query in searches(fhir)} == {"Patient/lou"}
    fhir.asked.clear()
    await person.open("/mes-rendez-vous?qui=somebody")
    assert all("patient" not in query for query in searches(fhir))


async def test_who_is_alone_chooses_among_nobody(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    assert "Tout le monde" not in (await person.open("/mes-rendez-vous")).text


async def test_older_ones_follow_page_by_page_from_the_same_instant(person: Person, fhir: FhirBase) -> None:
    """Of the same person, however long somebody reads the first page."""
    old = [
        appointment("fulfilled", id=f"old-{n}", start="2026-10-01T06:00:00Z", end="2026-10-01T06:15:00Z")
        for n in range(20)
    ]
    answer_by(fhir, searchset(), searchset(), {**searchset(*old), "link": AND_MORE})
    first = (await person.open("/mes-rendez-vous?qui=lou")).text
    link = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    [before] = [query for query in searches(fhir) if query.get("date", "").startswith("lt")]
    fhir.asked.clear()
    second = (await person.open(link)).text
    [asked] = searches(fhir)
    assert asked == {**before, "_cursor": "sealed"}
    assert 'id="coming"' not in second
    assert "Revenir au début" in second
