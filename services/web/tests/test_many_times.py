"""Agendas with more free times, and searches with more people, than one answer holds."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .conftest import Asked, FhirBase, Person, searchset
from .samples import PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT

NEXT = "https://creneau.example/fhir/Slot?_cursor=second"
MONDAY = datetime(2026, 12, 7, 4, tzinfo=UTC)
"""8 h in La Réunion"""


@pytest.fixture(autouse=True)
def town(fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))


def slot(number: int, start: datetime) -> dict[str, Any]:
    end = start + timedelta(minutes=5)
    return {**SLOT, "id": f"slot-{number}", "start": start.isoformat(), "end": end.isoformat()}


def in_two_pages(fhir: FhirBase, first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    """What is asked for is answered with some of it, and a link to the rest."""
    more = {**searchset(*first), "link": [{"relation": "next", "url": NEXT}]}
    fhir.on("GET", "/Slot", more)
    rest = FhirBase()
    rest.on("GET", "/Slot", searchset(*second))

    def say(asked: Asked) -> Any:
        return rest.rules[0](asked) if ("_cursor", "second") in asked.query else None

    fhir.rules.append(say)


def _of_this_week(asked: Asked) -> bool:
    return any(name == "start" and value.startswith("lt") for name, value in asked.query)


async def test_p2_a_week_shows_all_its_times(person: Person, fhir: FhirBase) -> None:
    """Whoever vaccinates every five minutes has more free times in a week than an answer holds."""
    friday = MONDAY + timedelta(days=4)
    in_two_pages(fhir, [slot(1, MONDAY)], [slot(2, friday)])
    page = (await person.open("/soignants/role-1/creneaux?du=2026-12-07")).text
    assert 'value="slot-1"' in page
    assert 'value="slot-2"' in page, "free, and not said to be taken"


async def test_p2_the_next_time_that_fits_is_found_behind_many_that_do_not(
    person: Person, fhir: FhirBase
) -> None:
    evening = MONDAY + timedelta(days=9, hours=11)
    mornings = [slot(n, MONDAY + timedelta(days=7, minutes=5 * n)) for n in range(20)]
    in_two_pages(fhir, mornings, [slot(99, evening)])
    nothing = FhirBase()
    nothing.on("GET", "/Slot", searchset())
    fhir.rules.append(lambda asked: nothing.rules[0](asked) if _of_this_week(asked) else None)
    page = (await person.open("/soignants/role-1/creneaux?du=2026-12-01&moment=soir")).text
    said = re.search(r'<p class="notice">(.*?)</p>', page)
    assert said
    assert "Prochain rendez-vous le mercredi 16 décembre à 19" in said[1], "in so many words, and a way there"
    assert re.search(r'href="[^"]*du=2026-12-16[^"]*"', said[1])


async def test_p1_who_is_left_out_of_a_comparison_is_said_with_a_way_of_meeting_too(
    person: Person, fhir: FhirBase
) -> None:
    """More fit than are compared: what is shown by video is not all that there is by video."""
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, PRACTITIONER, PLACE, total=109))
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, SCHEDULE))
    for way in ("", "&comment=sur-place"):
        page = (await person.open(f"/recherche?quoi=dermatologue{way}")).text
        assert "précisez la ville pour les voir tous" in page, way


async def test_p1_nobody_free_in_the_wished_way_is_not_nobody_found(person: Person, fhir: FhirBase) -> None:
    """How many fit, who was not compared, and a way to those who can be called."""
    found = searchset(ROLE, PRACTITIONER, PLACE, total=109)
    fhir.on("GET", "/PractitionerRole/$find-care", found)
    fhir.on("GET", "/Slot/$soonest", searchset())
    page = (await person.open("/recherche?quoi=dermatologue&comment=video&page=2")).text
    assert "109 professionnels. Aucun créneau libre en vidéo n'a été trouvé." in html.unescape(page)
    assert "précisez la ville pour les voir tous" in page
    assert 'href="/recherche?quoi=dermatologue"' in page
    assert "Qui cherchez-vous" not in page, "the words were understood"
    fhir.on("GET", "/PractitionerRole/$find-care", searchset())
    nobody = html.unescape((await person.open("/recherche?quoi=licorne&comment=video")).text)
    assert "Personne n'a été trouvé." in nobody


async def test_p1_who_is_at_two_places_is_one_professional(person: Person, fhir: FhirBase) -> None:
    """Two cards, each with its place and its times, and one person."""
    there = {**ROLE, "id": "role-2", "location": [{"reference": "Location/l-2"}]}
    place = {**PLACE, "id": "l-2", "name": "Clinique des Filaos"}
    found = searchset(ROLE, there, PRACTITIONER, PLACE, place, total=2)
    fhir.on("GET", "/PractitionerRole/$find-care", found)
    elsewhere = {**SLOT, "id": "slot-2", "schedule": {"reference": "Schedule/role-2"}}
    agenda = {**SCHEDULE, "id": "role-2", "actor": [{"reference": "PractitionerRole/role-2"}]}
    fhir.on("GET", "/Slot/$soonest", searchset(SLOT, elsewhere, SCHEDULE, agenda))
    for way in ("", "&comment=sur-place"):
        page = html.unescape((await person.open(f"/recherche?quoi=dermatologue{way}")).text)
        assert page.count('<li class="card">') == 2, way
        assert "1 professionnel." in page, way
    fhir.refuse("GET", "/Slot/$soonest", 503, "unavailable")
    page = html.unescape((await person.open("/recherche?quoi=dermatologue")).text)
    assert "1 professionnel." in page, "nor are there more while the agendas do not answer"


@pytest.mark.parametrize("path", ["", "?du=2026-12-07", "?du=2026-12-01&moment=soir"])
async def test_p2_only_what_can_be_taken_from_its_start_to_its_end_is_asked_for(
    person: Person, fhir: FhirBase, path: str
) -> None:
    """A page offers each time as it stands: of open time that begins too soon it would offer what is refused."""
    await person.open(f"/soignants/role-1/creneaux{path}")
    asked = [dict(one.query) for one in fhir.asked if one.path == "/Slot"]
    assert asked
    assert {one.get("bookable") for one in asked} == {"whole"}


async def test_p2_each_time_says_what_it_is_for(person: Person, fhir: FhirBase) -> None:
    """To whoever sees it too, once: an agenda may give one hour to vaccines, and the next to first visits."""
    fhir.on("GET", "/Slot", searchset(slot(1, MONDAY)))
    page = html.unescape((await person.open("/soignants/role-1/creneaux")).text)
    [button] = re.findall(r'<button class="time".*?</button>', page, re.DOTALL)
    assert re.sub(r"<[^>]+>", "", button.split('<span class="mode">', 1)[1]).strip() == "Suivi d'acné"
    assert button.count("Suivi d'acné") == 1
