"""Agendas that name a professional and no role: shown where it is clear in which role they are, and only there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import Asked, FhirBase, Person, searchset
from .samples import PLACE, PRACTITIONER, ROLE, SLOT

PERSON = {"reference": "Practitioner/p-1"}
ELSEWHERE = {**ROLE, "id": "role-2", "location": [{"reference": "Location/l-2"}]}
AT_WORK_IN_A_ROOM = {**ROLE, "location": [{"reference": "Location/l-salle"}]}
SAME_PLACE = {**ROLE, "id": "role-3"}
CLOSED_PRACTICE = {"reference": "Organization/o-ferme"}
AT_CLOSED_PLACE = {**ROLE, "id": "role-4", "location": [{"reference": "Location/l-ferme"}]}
ENDED = (
    {"resourceType": "Organization", "id": "o-ferme", "active": False},
    {"resourceType": "Location", "id": "l-ferme", "status": "suspended"},
)


def agenda(*actors: str) -> dict[str, Any]:
    return {"resourceType": "Schedule", "id": "seul", "actor": [{"reference": actor} for actor in actors]}


ROOM = {"resourceType": "Location", "id": "l-salle", "partOf": {"reference": "Location/l-1"}}
ALONE = agenda("Practitioner/p-1")
AT_THEIR_PLACE = agenda("Practitioner/p-1", "Location/l-1")
IN_A_ROOM = agenda("Practitioner/p-1", "Location/l-salle")
AT_ANOTHER = agenda("Practitioner/p-1", "Location/l-2")
OF_ANOTHER_ROLE = agenda("Practitioner/p-1", "PractitionerRole/role-2")


def of_base(schedule: dict[str, Any], *roles: dict[str, Any], full: bool = False) -> Any:
    """A base with this one agenda, which has one free slot or is full, and these roles of the person."""
    slots = [] if full else [{**SLOT, "schedule": {"reference": "Schedule/seul"}}]
    named = {actor["reference"] for actor in schedule["actor"]}

    def answer(asked: Asked) -> httpx.Response | None:
        query = dict(asked.query)
        found: list[dict[str, Any]]
        if asked.path == "/Slot/$soonest":
            found = [*slots, schedule] if slots else []
        elif asked.path == "/Slot":
            found = (
                slots
                if query.get("schedule.actor") in named or query.get("schedule") == "Schedule/seul"
                else []
            )
        elif asked.path == "/Schedule":
            found = [schedule, ROOM, PLACE] if named.intersection(query["actor"].split(",")) else []
        elif asked.path == "/PractitionerRole":
            found = [*(roles if "practitioner" in query else roles[:1]), PRACTITIONER, PLACE, ROOM, *ENDED]
        elif asked.path == "/PractitionerRole/$find-care":
            found = [*roles[:1], PRACTITIONER, PLACE, ROOM]
        else:
            return None
        return httpx.Response(200, json=searchset(*found))

    return answer


SHOWN = [
    pytest.param(ALONE, [ROLE], True, id="the only role"),
    pytest.param(ALONE, [ROLE, SAME_PLACE], True, id="two roles at one place"),
    pytest.param(ALONE, [ROLE, ELSEWHERE], False, id="at which of two places nobody knows"),
    pytest.param(ALONE, [ROLE, {**ELSEWHERE, "period": {"end": "2020"}}], True, id="at the other no more"),
    pytest.param(
        ALONE, [ROLE, {**ELSEWHERE, "organization": CLOSED_PRACTICE}], True, id="of a closed practice"
    ),
    pytest.param(ALONE, [ROLE, AT_CLOSED_PLACE], True, id="the other place is closed"),
    pytest.param(AT_THEIR_PLACE, [ROLE, ELSEWHERE], True, id="it says at which place"),
    pytest.param(IN_A_ROOM, [ROLE, ELSEWHERE], True, id="in a room of their place"),
    pytest.param(AT_THEIR_PLACE, [AT_WORK_IN_A_ROOM, ELSEWHERE], True, id="it says the site of their room"),
    pytest.param(AT_ANOTHER, [ROLE, ELSEWHERE], False, id="at the other place"),
    pytest.param(OF_ANOTHER_ROLE, [ROLE, ELSEWHERE], False, id="in the other role"),
]


@pytest.mark.parametrize(("schedule", "roles", "shown"), SHOWN)
@pytest.mark.parametrize(
    "page", ["/soignants/role-1", "/soignants/role-1/creneaux", "/recherche?quoi=dermato"]
)
async def test_where_an_agenda_of_a_person_is_shown(
    person: Person,
    fhir: FhirBase,
    page: str,
    schedule: dict[str, Any],
    roles: list[dict[str, Any]],
    shown: bool,
) -> None:
    """What software publishes for a person alone can be had on the pages as through the base: results, profile, times."""
    fhir.rules.append(of_base(schedule, *roles))
    text = (await person.open(page)).text
    assert "Dr Inès Bianchi" in text
    assert ("10 h" in text) is shown


@pytest.mark.parametrize(("schedule", "roles", "shown"), SHOWN)
@pytest.mark.parametrize("page", ["/soignants/role-1", "/soignants/role-1/creneaux"])
async def test_where_one_waits_for_a_time_of_it(
    person: Person,
    fhir: FhirBase,
    page: str,
    schedule: dict[str, Any],
    roles: list[dict[str, Any]],
    shown: bool,
) -> None:
    """Once it is full, where its times would be shown: booking takes the role's name for the agenda by the same rule."""
    fhir.rules.append(of_base(schedule, *roles, full=True))
    text = (await person.open(page)).text
    assert ('href="/liste-attente?soignant=role-1"' in text) is shown


@pytest.mark.parametrize(("schedule", "roles", "connected"), SHOWN)
@pytest.mark.parametrize("page", ["/soignants/role-1", "/recherche?quoi=dermato"])
async def test_who_is_full_and_who_is_not_connected_are_told_apart(
    person: Person,
    fhir: FhirBase,
    page: str,
    schedule: dict[str, Any],
    roles: list[dict[str, Any]],
    connected: bool,
) -> None:
    """By results and profile alike: who is full may be free tomorrow, who is not connected never is."""
    fhir.rules.append(of_base(schedule, *roles, full=True))
    text = (await person.open(page)).text
    assert ("Aucun créneau libre en ligne pour le moment" in text) is connected
    assert ("ne prend pas de rendez-vous en ligne ici" in text) is not connected


@pytest.mark.parametrize(
    ("agendas", "shown", "left_out"),
    [([agenda("PractitionerRole/role-3")], "role-3", "role-1"), ([], "role-1", "role-3")],
)
async def test_who_has_a_full_agenda_is_found_by_the_role_that_it_names(
    person: Person, fhir: FhirBase, agendas: list[dict[str, Any]], shown: str, left_out: str
) -> None:
    """Of the roles that are one result, the one by which one can wait for a time; asked once for all of them."""
    fhir.on("GET", "/PractitionerRole/$find-care", searchset(ROLE, SAME_PLACE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot/$soonest", searchset())
    fhir.on("GET", "/Schedule", searchset(*agendas))
    text = (await person.open("/recherche?quoi=dermato")).text
    assert f"/soignants/{shown}" in text
    assert f"/soignants/{left_out}" not in text
    [asked] = [dict(a.query) for a in fhir.asked if a.path == "/Schedule"]
    assert asked["active"] == "true"
    assert asked["actor"] == "PractitionerRole/role-1,PractitionerRole/role-3,Practitioner/p-1"
