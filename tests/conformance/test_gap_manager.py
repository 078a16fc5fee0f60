"""GAP, the agenda manager and the manager of resources: the checks 6.5 of docs/checklists.md that are no searches
(these: test_gap.py) and no computed slots (services/booking)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conformance import builders
from tests.conformance.builders import SYSTEM, Agenda, Resource, created, issue, unique

CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-schedule"
AVAILABILITY = f"{CORE}-availability-time"
SPECIALTY = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
PARTLY = {"url": AVAILABILITY, "extension": [{"url": "type", "valueCode": "free"}]}
MANAGED = (
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
    "Location",
    "HealthcareService",
    "Organization",
    "Device",
)


def agenda(**more: Any) -> Resource:
    """The agenda of a professional: the person and the role, both."""
    actors = [{"reference": f"{kind}/{unique()[:20]}"} for kind in ("Practitioner", "PractitionerRole")]
    return {"resourceType": "Schedule", "active": True, "actor": actors, **more}


def available(name: str) -> Resource:
    """One availability, by its identifier, with the four parts that it must have."""
    return {
        "url": AVAILABILITY,
        "extension": [
            {"url": "identifier", "valueIdentifier": {"system": SYSTEM, "value": name}},
            {"url": "type", "valueCode": "free"},
            {"url": "start", "valueDateTime": "2027-01-04T09:00:00+01:00"},
            {"url": "end", "valueDateTime": "2027-01-04T12:00:00+01:00"},
        ],
    }


def test_01_02_the_capability_says_what_a_manager_does(anonymous: httpx.Client) -> None:
    statement = anonymous.get("/metadata").json()
    assert {"application/fhir+json", "application/fhir+xml"} <= set(statement["format"])
    served = {r["type"]: r for r in statement["rest"][0]["resource"]}
    for kind, needed in (
        ("Schedule", {"create", "update", "delete", "patch"}),
        ("Slot", {"read", "search-type"}),
        ("Appointment", {"create", "read", "update", "search-type"}),
    ):
        assert needed <= {interaction["code"] for interaction in served[kind]["interaction"]}
    assert served["Appointment"]["conditionalUpdate"] is True
    for kind in MANAGED:
        assert {"create", "update", "delete"} <= {i["code"] for i in served[kind]["interaction"]} | (
            {"delete"} if kind in ("Patient", "RelatedPerson") else set()
        )


def test_03_04_05_08_an_agenda_is_made_changed_and_deleted(system: httpx.Client) -> None:
    made = system.post("/Schedule", json=agenda())
    assert made.status_code == 201
    assert "/Schedule/" in made.headers["location"]
    stored = made.json()
    assert {actor["reference"].partition("/")[0] for actor in stored["actor"]} == {
        "Practitioner",
        "PractitionerRole",
    }
    changed = system.put(f"/Schedule/{stored['id']}", json={**stored, "comment": "le matin"})
    assert (changed.status_code, changed.json()["comment"]) == (200, "le matin")
    assert system.delete(f"/Schedule/{stored['id']}").status_code in (200, 204)
    assert system.get(f"/Schedule/{stored['id']}").status_code == 410


@pytest.mark.parametrize(
    ("number", "members"),
    [
        ("6: no serviceType", {"serviceType": [{"text": "Suivi"}]}),
        ("7: a speciality of TRE_R38", {"specialty": [{"coding": [{"system": SPECIALTY, "code": "SM999"}]}]}),
        (
            "9: availability has four parts",
            {"extension": [PARTLY]},
        ),
    ],
)
def test_06_07_09_what_the_profile_forbids_is_refused(
    system: httpx.Client, number: str, members: Resource
) -> None:
    refused = system.post("/Schedule", json=agenda(meta={"profile": [CORE]}, **members))
    assert refused.status_code in (400, 422), number
    assert issue(refused)["severity"] == "error"


def test_10_one_availability_changes_and_the_others_stay(system: httpx.Client) -> None:
    stored = created(system, agenda(extension=[available("a"), available("b")]))
    stored["extension"] = [stored["extension"][1], available("c")]
    kept = system.put(f"/Schedule/{stored['id']}", json=stored).json()
    names = [part["valueIdentifier"]["value"] for e in kept["extension"] for part in e["extension"][:1]]
    assert names == ["b", "c"]


def test_20_21_an_appointment_is_made_and_changed_by_its_number(system: httpx.Client) -> None:
    """None of that number: created (201); one: updated (200); several: 412."""
    one = Agenda.create(system)
    slot, other = one.slot(), one.slot(1)
    patient = created(system, builders.patient())
    number = unique()
    wanted = builders.appointment(
        patient["id"],
        slot,
        identifier=[{"system": SYSTEM, "value": number}],
        created="2026-10-05T09:30:00+02:00",
    )
    made = system.put("/Appointment", params={"identifier": f"{SYSTEM}|{number}"}, json=wanted)
    assert made.status_code == 201, made.text
    assert "/Appointment/" in made.headers["location"]
    again = system.put(
        "/Appointment",
        params={"identifier": f"{SYSTEM}|{number}"},
        json={**made.json(), "comment": "plus tard"},
    )
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    second = created(system, builders.appointment(patient["id"], other, identifier=wanted["identifier"]))
    several = system.put("/Appointment", params={"identifier": f"{SYSTEM}|{number}"}, json=second)
    assert several.status_code == 412


def test_22_23_24_25_a_slot_is_taken_and_given_back(system: httpx.Client) -> None:
    one = Agenda.create(system)
    slot, patient = one.slot(), created(system, builders.patient())
    booked = created(system, builders.appointment(patient["id"], slot))
    assert system.get(f"/Slot/{slot['id']}").json()["status"] == "busy"
    rival = created(system, builders.patient())
    refused = system.post("/Appointment", json=builders.appointment(rival["id"], slot))
    assert (refused.status_code, issue(refused)["severity"]) == (409, "error")
    cancelled = system.put(f"/Appointment/{booked['id']}", json={**booked, "status": "cancelled"})
    assert cancelled.status_code == 200
    assert system.get(f"/Slot/{slot['id']}").json()["status"] == "free"
    back = system.put(f"/Appointment/{booked['id']}", json={**cancelled.json(), "status": "fulfilled"})
    assert back.status_code in (409, 422)
    assert issue(back)["severity"] == "error"


def test_a_device_has_an_agenda_and_is_in_one_place_only(system: httpx.Client) -> None:
    """Its slots are found by it, and two overlapping visits with it are refused through any agenda."""
    device = created(
        system, {"resourceType": "Device", "identifier": [{"system": SYSTEM, "value": unique()}]}
    )
    first, second = (
        created(
            system,
            {"resourceType": "Schedule", "active": True, "actor": [{"reference": f"Device/{device['id']}"}]},
        )
        for _ in range(2)
    )
    day = builders.next_day()
    slots = [created(system, builders.slot(s["id"], day)) for s in (first, second)]
    people = [created(system, builders.patient()) for _ in range(2)]
    assert (
        system.post("/Appointment", json=builders.appointment(people[0]["id"], slots[0])).status_code == 201
    )
    refused = system.post("/Appointment", json=builders.appointment(people[1]["id"], slots[1]))
    assert refused.status_code == 409, refused.text
    later = created(system, builders.slot(second["id"], day + timedelta(hours=1)))
    assert system.post("/Appointment", json=builders.appointment(people[1]["id"], later)).status_code == 201


@pytest.mark.parametrize("kind", ["Location", "HealthcareService", "Organization", "Device", "Practitioner"])
def test_resources_are_made_changed_and_deleted(system: httpx.Client, kind: str) -> None:
    """R1-R4 of the manager of resources; what an agenda or another entry names is not deleted (409), which we declare."""
    body: Resource = {"resourceType": kind, "identifier": [{"system": SYSTEM, "value": unique()}]}
    body |= (
        {} if kind == "Device" else {"name": [{"family": "Fictif"}] if kind == "Practitioner" else "Fictif"}
    )
    stored = created(system, body)
    changed = system.put(f"/{kind}/{stored['id']}", json={**stored, "language": "fr"})
    assert changed.status_code == 200
    assert system.delete(f"/{kind}/{stored['id']}").status_code in (200, 204)


def test_the_email_address_of_a_person_is_kept(system: httpx.Client) -> None:
    point = {"system": "email", "value": "camille@exemple.fr"}
    stored = created(system, builders.patient(telecom=[point]))
    assert system.get(f"/Patient/{stored['id']}").json()["telecom"] == [point]
