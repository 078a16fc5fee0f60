"""Who saw my record: each interaction that touched personal data leaves one AuditEvent, which says whose data it was, what
was asked, why, and how it ended; never what the data is."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.conformance.builders import created, issue, link, patient, resources, unique
from tests.fixtures.stack import Stack

Event = dict[str, Any]


def events(system: httpx.Client, **query: str) -> list[Event]:
    """The latest first."""
    return resources(system.get("/AuditEvent", params={"_count": "50", **query}))


def patients(event: Event) -> set[str]:
    """The Patients whom the event names."""
    named = {
        entity.get("what", {}).get("reference", "").partition("/_history/")[0] for entity in event["entity"]
    }
    return {reference for reference in named if reference.startswith("Patient/")}


def asked(event: Event) -> str:
    return base64.b64decode(event["entity"][0]["query"]).decode()


@pytest.fixture
def subject() -> str:
    return unique()


@pytest.fixture
def reader(stack: Stack, subject: str) -> Any:
    """Somebody who may see everything, under a name of their own."""
    with stack.client("system", subject=subject) as client:
        yield client


@pytest.fixture
def family() -> str:
    return f"Fictive{unique()}"


@pytest.fixture
def three(system: httpx.Client, family: str) -> list[str]:
    """Three patients of one name."""
    return [f"Patient/{created(system, {**patient(), 'name': [{'family': family}]})['id']}" for _ in range(3)]


def test_a_search_is_one_event_that_names_everybody_whom_it_returned(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str], family: str
) -> None:
    reader.post("/Patient/_search", data={"family": family, "_count": "10"})
    (event,) = events(system, altid=subject)
    assert patients(event) == set(three)
    assert (event["action"], event["subtype"][0]["code"], event["outcome"]) == ("R", "search-type", "0")
    assert asked(event) == "POST Patient/_search?family=…&_count=10"
    assert family not in str(event), "what was searched by is nobody's business but the searcher's"
    for reference in three:
        assert events(system, altid=subject, patient=reference) == [event]


def test_each_page_names_its_own(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str], family: str
) -> None:
    page = reader.post("/Patient/_search", data={"family": family, "_count": "2"})
    reader.get(link(page, "next") or "")
    second, first = events(system, altid=subject)
    assert (len(patients(first)), len(patients(second))) == (2, 1)
    assert patients(first) | patients(second) == set(three)
    assert family not in asked(second), "nor in the address that led to the page"


def test_includes_are_named_and_the_whole_system_is_one_event(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str]
) -> None:
    relative = {"resourceType": "RelatedPerson", "patient": {"reference": three[0]}, "active": True}
    related = created(system, relative)
    reader.get("/RelatedPerson", params={"_id": related["id"], "_include": "RelatedPerson:patient"})
    (event,) = events(system, altid=subject)
    assert patients(event) == {three[0]}
    references = {entity["what"]["reference"] for entity in event["entity"] if "what" in entity}
    assert references == {f"RelatedPerson/{related['id']}", three[0]}
    ids = ",".join(reference.partition("/")[2] for reference in three)
    reader.post("/_search", data={"_type": "Patient,RelatedPerson", "_id": f"{ids},{related['id']}"})
    latest = events(system, altid=subject, subtype="search-type")
    assert set().union(*(patients(event) for event in latest)) == set(three)


@pytest.mark.parametrize(
    ("path", "subtype"),
    [("", "read"), ("/_history/1", "vread"), ("/_history", "history-instance"), ("/$validate", "operation")],
)
def test_reading_one_in_every_way(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str], path: str, subtype: str
) -> None:
    method = "POST" if "$" in path else "GET"
    assert reader.request(method, f"/{three[0]}{path}").status_code == 200
    (event,) = events(system, altid=subject)
    assert (event["subtype"][0]["code"], patients(event)) == (subtype, {three[0]})


def test_a_replayed_answer_and_a_conditional_match_are_readings(
    system: httpx.Client, reader: httpx.Client, subject: str
) -> None:
    body, key = {**patient(), "identifier": [{"system": "urn:test", "value": unique()}]}, unique()
    stored = reader.post("/Patient", json=body, headers={"Idempotency-Key": key}).json()
    reader.post("/Patient", json=body, headers={"Idempotency-Key": key})
    value = body["identifier"][0]["value"]
    reader.post("/Patient", json=body, headers={"If-None-Exist": f"identifier=urn:test|{value}"})
    found = events(system, altid=subject)
    assert [event["action"] for event in found] == ["R", "R", "C"]
    assert all(patients(event) == {f"Patient/{stored['id']}"} for event in found)


def test_a_refusal_that_touched_a_record_says_so(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str]
) -> None:
    """Refused for its version, and gone: after what was begun is undone, in a transaction of its own."""
    current = system.get(f"/{three[0]}").json()
    assert reader.put(f"/{three[0]}", json=current, headers={"If-Match": 'W/"7"'}).status_code == 412
    system.delete(f"/{three[1]}")
    assert reader.get(f"/{three[1]}").status_code == 410
    assert reader.get(f"/Patient/{unique()}").status_code == 404
    nowhere, gone, refused = events(system, altid=subject)
    assert (refused["action"], refused["outcome"], patients(refused)) == ("U", "4", {three[0]})
    assert (gone["action"], gone["outcome"], patients(gone)) == ("R", "4", {three[1]})
    assert nowhere["outcome"] == "4"
    assert patients(nowhere) == {nowhere["entity"][0]["what"]["reference"]}
    assert [event["outcome"] for event in events(system, altid=subject, outcome="4")] == ["4"] * 3


def test_each_entry_of_a_batch_is_an_interaction_and_a_refused_transaction_says_of_whom(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str]
) -> None:
    reads = [{"request": {"method": "GET", "url": reference}} for reference in three]
    reader.post("", json={"resourceType": "Bundle", "type": "batch", "entry": reads})
    assert [patients(event) for event in events(system, altid=subject, _sort="date")] == [
        {r} for r in three
    ] or {frozenset(patients(event)) for event in events(system, altid=subject)} == {
        frozenset({r}) for r in three
    }
    changed = {**system.get(f"/{three[0]}").json(), "gender": "other"}
    entries = [
        {"request": {"method": "PUT", "url": three[0]}, "resource": changed},
        {
            "request": {"method": "PUT", "url": three[1], "ifMatch": 'W/"9"'},
            "resource": {**system.get(f"/{three[1]}").json()},
        },
    ]
    answer = reader.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 412
    (refused,) = events(system, altid=subject, outcome="4")
    assert patients(refused) == {three[1]}
    assert events(system, altid=subject, action="U", outcome="0") == [], "what was undone did not happen"


def test_a_purpose_can_be_stated_and_must_be_one(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str]
) -> None:
    reader.get(f"/{three[0]}", headers={"X-Purpose-Of-Use": "ETREAT"})
    reader.get(f"/{three[0]}")
    codes = [event["purposeOfEvent"][0]["coding"][0]["code"] for event in events(system, altid=subject)]
    assert codes == ["HSYSADMIN", "ETREAT"]
    refused = reader.get(f"/{three[0]}", headers={"X-Purpose-Of-Use": "CURIOSITY"})
    assert (refused.status_code, issue(refused)["expression"]) == (400, ["http.X-Purpose-Of-Use"])


def test_every_kind_of_event_is_valid_r4(
    system: httpx.Client, reader: httpx.Client, subject: str, three: list[str], family: str
) -> None:
    reader.get(f"/{three[0]}")
    reader.get("/Patient", params={"family": family})
    reader.get(f"/Patient/{unique()}")
    reader.post(f"/{three[0]}/$validate")
    reader.get("/Patient/_history", params={"_count": "2"})
    found = events(system, altid=subject)
    assert len(found) == 5
    for event in found:
        verdict = system.post("/AuditEvent/$validate", json=event)
        assert issue(verdict)["severity"] == "information", verdict.text
