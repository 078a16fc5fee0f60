"""Who read or changed what is readable as FHIR AuditEvents, by those who may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.builders import created, ids, issue, link, patient, resources, unique
from tests.fixtures.stack import Stack

REFUSED = pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])


def actions(answer: httpx.Response) -> list[str]:
    return [event["action"] for event in resources(answer)]


def test_every_access_leaves_an_audit_event(stack: Stack, system: httpx.Client) -> None:
    subject = unique()
    with stack.client("secretary", subject=subject) as secretary:
        stored = created(secretary, patient())
        address = f"Patient/{stored['id']}"
        secretary.get(f"/{address}", headers={"X-Correlation-Id": "audit-test-1"})
        secretary.put(f"/{address}", json=stored)
        secretary.delete(f"/{address}")
    trail = system.get("/AuditEvent", params={"entity": address})
    assert actions(trail) == ["D", "U", "R", "C"], "the latest first"
    read = resources(trail)[2]
    assert read["agent"][0]["who"]["identifier"]["value"] == subject
    assert read["entity"][0]["what"]["reference"] == f"{address}/_history/1"
    assert read["entity"][0]["detail"][0]["valueString"] == "audit-test-1"
    assert read["subtype"][0]["code"] == "read"
    assert "Fictive" not in trail.text, "never what the resource holds"
    assert system.get(f"/AuditEvent/{read['id']}").json() == read


def test_audit_events_are_valid_r4(system: httpx.Client) -> None:
    created(system, patient())
    system.get("/Patient", params={"_count": 1})
    for event in resources(system.get("/AuditEvent", params={"_count": 20})):
        verdict = system.post("/AuditEvent/$validate", json=event)
        assert issue(verdict)["severity"] == "information", verdict.text


def test_audit_events_are_searched(stack: Stack, system: httpx.Client) -> None:
    subject = unique()
    with stack.client("practitioner", subject=subject) as professional:
        stored = created(professional, patient())
        professional.get(f"/Patient/{stored['id']}")
        professional.get("/Patient", params={"_id": stored["id"]})

    def search(**parameters: Any) -> httpx.Response:
        named = {name.replace("__", ":").replace("_", "-"): value for name, value in parameters.items()}
        return system.get("/AuditEvent", params=named, headers={"Prefer": "handling=strict"})

    assert actions(search(agent__identifier=subject)) == ["R", "R", "C"]
    own = {"altid": subject}
    assert actions(search(**own)) == ["R", "R", "C"]
    assert actions(search(**own, action="C")) == ["C"]
    assert actions(search(**own, action__not="C")) == ["R", "R"]
    assert actions(search(**own, subtype="search-type")) == ["R"]
    assert actions(search(**own, patient=stored["id"])) == ["R", "C"]
    assert actions(search(**own, entity__missing="true")) == ["R"]
    assert actions(search(**own, entity_type="Appointment")) == []
    assert actions(search(**own, type="rest", date="ge2020")) == ["R", "R", "C"]
    assert actions(search(**own, date="lt2020")) == []
    assert actions(search(**own, agent_name="x")) == []
    sorted_up = system.get("/AuditEvent", params={**own, "_sort": "date"})
    assert actions(sorted_up) == ["C", "R", "R"]
    page = system.get("/AuditEvent", params={**own, "_count": 2})
    assert (actions(page), page.json()["total"]) == (["R", "R"], 3)
    assert actions(system.get(link(page, "next") or "")) == ["C"]
    included = system.get("/AuditEvent", params={**own, "action": "C", "_include": "AuditEvent:entity"})
    assert ids(included, "include") == [stored["id"]]
    chained = system.get("/AuditEvent", params={**own, "entity:Patient._id": stored["id"]})
    assert actions(chained) == ["R", "C"]
    seen = system.get("/Patient", params={"_has:AuditEvent:entity:altid": subject})
    assert ids(seen) == [stored["id"]]


@REFUSED
def test_audit_events_are_not_written(system: httpx.Client, method: str) -> None:
    address = "/AuditEvent" if method == "POST" else f"/AuditEvent/{unique()}"
    answer = system.request(method, address, json={"resourceType": "AuditEvent"})
    assert (answer.status_code, "POST" in answer.headers["Allow"]) == (405, False)


def test_patients_and_strangers_do_not_see_them(stack: Stack, anonymous: httpx.Client) -> None:
    with stack.client("patient", subject=unique(), patient="x") as person:
        assert person.get("/AuditEvent").status_code == 403
        assert person.get(f"/AuditEvent/{unique()}").status_code == 403
        hidden = person.get("/Patient", params={"_has:AuditEvent:entity:action": "C"})
        assert ids(hidden) == []
    assert anonymous.get("/AuditEvent").status_code == 401
