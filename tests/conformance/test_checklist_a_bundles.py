"""Scheduling (docs/checklists.md), 10: batch and transaction Bundles, through the gateway that splits them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from uuid import uuid4

import httpx

from creneau_shared.fhir.json import dumps
from tests.conformance.builders import (
    SYSTEM,
    Agenda,
    Resource,
    appointment,
    created,
    issue,
    organization,
    patient,
    practitioner,
    schedule,
    slot,
    unique,
)
from tests.fixtures.stack import Stack


def urn() -> str:
    return f"urn:uuid:{uuid4()}"


def entry(
    method: str, url: str, resource: Resource | None = None, full_url: str | None = None, **conditions: str
) -> Resource:
    made: Resource = {"request": {"method": method, "url": url, **conditions}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def send(client: httpx.Client, kind: str, *entries: Resource, **headers: str) -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return client.post("", json=bundle, headers=headers)


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [part["response"]["status"] for part in answer.json()["entry"]]


def total(client: httpx.Client, kind: str, value: str) -> Any:
    return client.get(f"/{kind}", params={"identifier": f"{SYSTEM}|{value}"}).json()["total"]


def test_item_10_batch_over_all_services_answers_in_order(system: httpx.Client, stack: Stack) -> None:
    known = created(system, organization())
    answer = send(
        system,
        "batch",
        entry("POST", "Patient", patient()),
        entry("GET", f"Organization/{known['id']}"),
        entry("GET", "Medication/1"),
        entry("GET", "Communication?_count=1"),
        entry("POST", "Organization", {"resourceType": "Organization"}),
        entry("GET", f"{stack.fhir}/Organization/{known['id']}"),
        entry("DELETE", f"Patient/{unique()}"),
    )
    assert answer.json()["type"] == "batch-response"
    assert statuses(answer) == ["201", "200", "404", "200", "422", "200", "204"]
    parts = answer.json()["entry"]
    assert parts[0]["response"]["etag"] == 'W/"1"'
    assert parts[0]["response"]["location"].endswith("/_history/1")
    assert parts[1]["resource"] == parts[5]["resource"] == known
    assert parts[4]["response"]["outcome"]["issue"][0]["code"] == "invariant"
    assert parts[2]["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_item_10_an_address_that_nobody_can_read_is_named(system: httpx.Client) -> None:
    answer = send(system, "batch", entry("GET", "Slot/1"), entry("GET", "http://["))
    assert (answer.status_code, issue(answer)["expression"]) == (400, ["Bundle.entry[1].request.url"])


def test_item_10_conditions_and_preferences_of_entries(system: httpx.Client) -> None:
    stored = created(system, organization())
    address, value = f"Organization/{stored['id']}", unique()
    answer = send(
        system,
        "batch",
        entry("PUT", address, stored, ifMatch='W/"9"'),
        entry("GET", address, ifNoneMatch='W/"1"'),
        entry("POST", "Organization", organization(value), ifNoneExist=f"identifier={SYSTEM}|{value}"),
        entry("GET", f"{address}?_elements=name"),
        Prefer="return=minimal",
    )
    assert statuses(answer) == ["412", "304", "201", "200"]
    parts = answer.json()["entry"]
    assert "resource" not in parts[2]
    again = send(
        system,
        "batch",
        entry("POST", "Organization", organization(value), ifNoneExist=f"identifier={SYSTEM}|{value}"),
    )
    assert statuses(again) == ["200"]
    part = send(system, "batch", entry("GET", f"{address}?_elements=name")).json()["entry"][0]["resource"]
    assert "identifier" not in part
    assert part["name"] == stored["name"]


def test_item_10_json_patch_in_a_bundle(system: httpx.Client) -> None:
    stored = created(system, organization())
    operations = dumps([{"op": "replace", "path": "/name", "value": "Par lot"}])
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": b64encode(operations).decode(),
    }
    for kind in ("batch", "transaction"):
        answer = send(system, kind, entry("PATCH", f"Organization/{stored['id']}", binary))
        assert statuses(answer) == ["200"]
        assert answer.json()["entry"][0]["resource"]["name"] == "Par lot"


def test_item_10_transaction_rewrites_references(system: httpx.Client) -> None:
    whose, agenda, first = urn(), urn(), urn()
    answer = send(
        system,
        "transaction",
        entry(
            "POST",
            "Slot",
            slot("x", Agenda.create(system).day, schedule={"reference": agenda}),
            first,
        ),
        entry("POST", "Schedule", schedule(whose), agenda),
        entry("POST", "Patient", patient(), whose),
    )
    assert statuses(answer) == ["201", "201", "201"]
    stored_slot, stored_schedule, stored_patient = (part["resource"] for part in answer.json()["entry"])
    assert stored_slot["schedule"]["reference"] == f"Schedule/{stored_schedule['id']}"
    assert stored_schedule["actor"][0]["reference"] == f"Patient/{stored_patient['id']}"
    assert system.get(f"/Slot/{stored_slot['id']}").json() == stored_slot


def test_item_10_transaction_resolves_by_full_url(system: httpx.Client) -> None:
    """A relative reference means the entry of the Bundle that its own fullUrl completes it to."""
    elsewhere = "https://example.org/fhir"
    answer = send(
        system,
        "transaction",
        entry("POST", "Organization", organization(id="a"), f"{elsewhere}/Organization/a"),
        entry(
            "POST",
            "Organization",
            organization(partOf={"reference": "Organization/a"}),
            f"{elsewhere}/Organization/b",
        ),
    )
    parent, child = (part["resource"] for part in answer.json()["entry"])
    assert child["partOf"]["reference"] == f"Organization/{parent['id']}"


def test_item_10_transaction_is_atomic(system: httpx.Client) -> None:
    value = unique()
    answer = send(
        system,
        "transaction",
        entry("POST", "Patient", patient(value)),
        entry("PUT", f"Patient/{unique()}", patient(id="another")),
    )
    assert answer.status_code == 400
    assert issue(answer)["expression"] == ["Bundle.entry[1].resource.id"]
    assert total(system, "Patient", value) == 0


def test_item_10_transaction_runs_in_fhirs_order(system: httpx.Client) -> None:
    """DELETE, POST, PUT, GET, whatever the order in the Bundle; the answers in the Bundle's order."""
    doomed, value = created(system, patient()), unique()
    answer = send(
        system,
        "transaction",
        entry("GET", f"Patient?identifier={SYSTEM}|{value}"),
        entry("GET", f"Patient/{doomed['id']}/_history"),
        entry("POST", "Patient", patient(value)),
        entry("DELETE", f"Patient/{doomed['id']}"),
    )
    assert statuses(answer) == ["200", "200", "201", "204"]
    found, history, made, _ = answer.json()["entry"]
    assert [e["resource"]["id"] for e in found["resource"]["entry"]] == [made["resource"]["id"]]
    assert history["resource"]["entry"][0]["request"]["method"] == "DELETE"


def test_item_10_one_resource_twice_is_refused(system: httpx.Client) -> None:
    stored, value = created(system, patient()), unique()
    address = f"Patient/{stored['id']}"
    twice = send(system, "transaction", entry("PUT", address, stored), entry("DELETE", address))
    assert twice.status_code == 400
    created(system, patient(value))
    search = f"Patient?identifier={SYSTEM}|{value}"
    designated = send(
        system, "transaction", entry("PUT", search, patient(value)), entry("PUT", search, patient(value))
    )
    assert designated.status_code == 400
    assert issue(designated)["expression"] == ["Bundle.entry[1].request.url"]
    same = urn()
    names = send(
        system,
        "transaction",
        entry("POST", "Patient", patient(), same),
        entry("POST", "Patient", patient(), same),
    )
    assert (names.status_code, issue(names)["code"]) == (422, "invariant")


def test_item_10_conditional_references(system: httpx.Client) -> None:
    one, many = unique(), unique()
    target = created(system, organization(one))
    for _ in range(2):
        created(system, organization(many))

    def child(value: str) -> httpx.Response:
        reference = {"reference": f"Organization?identifier={SYSTEM}|{value}"}
        return send(system, "transaction", entry("POST", "Organization", organization(partOf=reference)))

    resolved = child(one).json()["entry"][0]["resource"]
    assert resolved["partOf"]["reference"] == f"Organization/{target['id']}"
    nobody, several = child(unique()), child(many)
    assert (nobody.status_code, issue(nobody)["code"]) == (412, "not-found")
    assert (several.status_code, issue(several)["code"]) == (412, "multiple-matches")


def test_item_10_conditional_create_in_a_transaction_refers_to_its_match(system: httpx.Client) -> None:
    value, parent = unique(), urn()
    known = created(system, organization(value))
    answer = send(
        system,
        "transaction",
        entry(
            "POST", "Organization", organization(value), parent, ifNoneExist=f"identifier={SYSTEM}|{value}"
        ),
        entry("POST", "Organization", organization(partOf={"reference": parent})),
    )
    assert statuses(answer) == ["200", "201"]
    assert answer.json()["entry"][1]["resource"]["partOf"]["reference"] == f"Organization/{known['id']}"


def test_item_10_transaction_over_several_services_is_refused_by_name(system: httpx.Client) -> None:
    value = unique()
    answer = send(
        system,
        "transaction",
        entry("POST", "Patient", patient(value)),
        entry("POST", "Practitioner", practitioner(value)),
    )
    assert (answer.status_code, issue(answer)["code"]) == (400, "not-supported")
    assert "booking : Patient" in issue(answer)["details"]["text"]
    assert "directory : Practitioner" in issue(answer)["details"]["text"]
    assert total(system, "Patient", value) == total(system, "Practitioner", value) == 0


def test_item_10_booking_within_a_transaction_is_part_of_it(system: httpx.Client, agenda: Agenda) -> None:
    """An operation in a transaction that fails has not happened either."""
    free, who = agenda.slot(), created(system, patient())["id"]
    book = {
        "resourceType": "Parameters",
        "parameter": [{"name": "appt-resource", "resource": appointment(who, free)}],
    }
    answer = send(
        system,
        "transaction",
        entry("POST", "Appointment/$book", book),
        entry("PUT", f"Patient/{who}", patient(id=who), ifMatch='W/"9"'),
    )
    assert answer.status_code == 412
    assert system.get(f"/Slot/{free['id']}").json()["status"] == "free"


def test_item_10_what_is_no_bundle_of_requests_is_refused(system: httpx.Client) -> None:
    for body, code in (
        (patient(), "value"),
        ({"resourceType": "Bundle", "type": "searchset"}, "value"),
        ({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": patient()}]}, None),
        ({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET"}}]}, "required"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {"a": 1}}, None),
        ({"resourceType": "Bundle", "type": "batch", "entry": ["x"]}, None),
    ):
        answer = system.post("", json=body)
        assert answer.status_code == 400, answer.text
        assert code is None or code in [i["code"] for i in answer.json()["issue"]]
    empty = system.post("", json={"resourceType": "Bundle", "type": "transaction"})
    assert (empty.status_code, empty.json()["type"]) == (200, "transaction-response")
