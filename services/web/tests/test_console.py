"""The README's first calls from a page, in a demonstration only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from creneau_web.app import WebApplication

from .conftest import FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, appointment

CALLS = ["who", "propose", "register", "hold", "book", "read", "cancel"]


@pytest.fixture
def demonstration(app: WebApplication) -> None:
    settings = app.site.settings.model_copy(update={"demonstration": True})
    app.pages.state.site = replace(app.site, settings=settings)


@pytest.mark.usefixtures("demonstration")
async def test_each_call_uses_what_those_before_it_found(person: Person, fhir: FhirBase) -> None:
    proposal: dict[str, Any] = {"resourceType": "Appointment", "id": "proposal-1", "status": "proposed"}
    fhir.on("GET", "/Appointment/$find", searchset(proposal))
    fhir.on("POST", "/Patient", CAMILLE, 201)
    fhir.on("POST", "/Appointment/$hold", searchset(appointment()), 201)
    fhir.on("POST", "/Appointment/a-1/$book", appointment("booked"))
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    fhir.on("PATCH", "/Appointment/a-1", appointment("cancelled"))
    await person.sign_in()
    await person.open("/console")
    for name in CALLS:
        answer = await person.send(f"/console/{name}")
        assert answer.status_code == 200, name
        assert "<strong>2" in answer.text, name
    held = next(a.body for a in fhir.asked if a.path == "/Appointment/$hold")
    assert [p["valueUri"] for p in held["parameter"]] == ["proposal-1", "Patient/camille"]
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    assert (await person.open("/soignants/role-1/creneaux")).status_code == 200, "what it knows is no booking"


@pytest.mark.usefixtures("demonstration")
async def test_a_call_without_what_it_needs_is_not_made(person: Person, fhir: FhirBase) -> None:
    await person.open("/console")
    assert (await person.send("/console/book")).status_code == 422
    assert not fhir.asked


async def test_nobody_plays_with_real_people(person: Person) -> None:
    assert (await person.open("/console")).status_code == 404
