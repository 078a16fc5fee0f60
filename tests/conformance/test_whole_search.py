"""Items 25 to 27 over the whole base: `_type=A,B` page by page, types of several services, by GET and by POST."""

from __future__ import annotations

import httpx
import pytest
from lxml import etree

from tests.conformance.builders import created, link, location, organization, patient, resources, unique
from tests.fixtures.stack import Stack

Query = dict[str, str | int]


@pytest.fixture
def tag(system: httpx.Client) -> str:
    """The tag of five Organizations and a Location (directory), four Patients (booking) and no Slot."""
    tag = unique()
    meta = {"tag": [{"system": "urn:test", "code": tag}]}
    for _ in range(5):
        created(system, organization(meta=meta))
    for _ in range(4):
        created(system, patient(meta=meta))
    created(system, location(meta=meta))
    return tag


def pages(first: httpx.Response, client: httpx.Client) -> list[httpx.Response]:
    found = [first]
    while following := link(found[-1], "next"):
        found.append(client.get(following))
    return found


def test_item_26_pages_over_types_of_two_services(system: httpx.Client, tag: str) -> None:
    """Full pages over all the types, each match once, the total told on each, a way back to the first."""
    query: Query = {"_type": "Organization,Slot,Patient,Location", "_tag": tag, "_count": 3}
    found = pages(system.get("", params=query), system)
    assert [len(resources(page)) for page in found] == [3, 3, 3, 1]
    assert {page.json()["total"] for page in found} == {10}
    kinds = [r["resourceType"] for page in found for r in resources(page)]
    assert kinds == ["Organization"] * 5 + ["Patient"] * 4 + ["Location"]
    assert len({(r["resourceType"], r["id"]) for page in found for r in resources(page)}) == 10
    assert link(found[0], "first") is None
    assert resources(system.get(link(found[3], "first") or "")) == resources(found[0])


def test_item_26_pages_stay_as_they_are_while_others_write(system: httpx.Client, tag: str) -> None:
    query: Query = {"_type": "Organization,Patient", "_tag": tag, "_count": 4}
    first = system.get("", params=query)
    seen = resources(first)
    gone = seen[0]
    assert system.delete(f"/Organization/{gone['id']}").status_code == 204
    for page in pages(system.get(link(first, "next") or ""), system):
        seen += resources(page)
    assert len({r["id"] for r in seen}) == len(seen) == 9


def test_item_27_by_post(system: httpx.Client, tag: str) -> None:
    """Parameters of the address and of the form are one query."""
    form = {"_tag": tag, "_count": "2"}
    answer = system.post("/_search?_type=Patient,Location", data=form)
    found = pages(answer, system)
    assert [len(resources(page)) for page in found] == [2, 2, 1]
    assert (
        system.post("/_search", content=b"{}", headers={"Content-Type": "application/json"}).status_code
        == 415
    )


def test_item_25_counts_includes_and_exact_ends(system: httpx.Client, tag: str) -> None:
    """A page that ends with a type leads on only when another type has something."""
    counted = system.get("", params={"_type": "Patient,Organization,Slot", "_tag": tag, "_count": 0}).json()
    assert (counted["total"], "entry" in counted) == (9, False)
    ends = system.get("", params={"_type": "Patient,Slot", "_tag": tag, "_count": 4})
    assert (len(resources(ends)), link(ends, "next")) == (4, None)
    goes_on = system.get("", params={"_type": "Slot,Patient,Location", "_tag": tag, "_count": 4})
    assert link(goes_on, "next")
    meta = {"tag": [{"system": "urn:test", "code": unique()}]}
    parent = created(system, organization())
    part_of = {"reference": f"Organization/{parent['id']}"}
    created(system, organization(meta=meta, partOf=part_of))
    query: Query = {"_type": "Organization,Patient", "_tag": meta["tag"][0]["code"]}
    with_parent = system.get("", params={**query, "_include": "Organization:partof"})
    assert [r["id"] for r in resources(with_parent, "include")] == [parent["id"]]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"_type": "Patient,Observation"}, 404),
        ({"_type": "Patient,Slot", "_sort": "_lastUpdated"}, 400),
        ({"_type": "Patient,Slot", "_count": "x"}, 400),
        ({"_type": "Patient,Slot", "_cursor": "bm90IG91cnM"}, 400),
        ({"_type": "Patient,Slot", "_lastUpdated": "hier"}, 400),
    ],
)
def test_item_28_what_cannot_be_answered_is_refused(
    system: httpx.Client, stack: Stack, query: dict[str, str], status: int
) -> None:
    """At the gateway and in a service alike."""
    assert system.get("", params=query).status_code == status
    own = f"{stack.service_url('booking')}/fhir"
    assert system.get(own, params=query).status_code == status


def test_item_26_a_service_pages_its_own_types_alike(system: httpx.Client, stack: Stack, tag: str) -> None:
    """Past the gateway; the links it gives lead through it."""
    own = f"{stack.service_url('booking')}/fhir"
    first = system.get(own, params={"_type": "Slot,Patient,Schedule", "_tag": tag, "_count": 3})
    assert (len(resources(first)), first.json()["total"]) == (3, 4)
    second = system.get(link(first, "next") or "")
    assert (len(resources(second)), link(second, "next")) == (1, None)


def test_item_99_a_patient_finds_only_their_own(stack: Stack, system: httpx.Client, tag: str) -> None:
    own = resources(system.get("/Patient", params={"_tag": tag, "_count": 1}))[0]["id"]
    with stack.client("patient", subject=unique(), patient=own) as person:
        answer = person.get("", params={"_type": "Patient,Organization", "_tag": tag, "_count": 2})
        found = [r for page in pages(answer, person) for r in resources(page)]
        assert [r["id"] for r in found if r["resourceType"] == "Patient"] == [own]
        assert answer.json()["total"] == 6
        assert person.get("", params={"_type": "Patient,Provenance"}).status_code == 403


@pytest.mark.parametrize(
    "address",
    [
        "_history",
        "AuditEvent",
        "AuditEvent/{id}",
        "?_type=Slot,AuditEvent,Practitioner",
        "metadata",
        "StructureDefinition/Slot",
        "ValueSet",
    ],
)
def test_the_whole_is_written_as_it_is_asked_for(system: httpx.Client, address: str) -> None:
    """The services are asked in JSON, however the caller wants the answer."""
    system.get("/Patient", params={"_count": 1})  # leaves a trace, so that there is an AuditEvent
    event = resources(system.get("/AuditEvent", params={"_count": 1}))[0]["id"]
    join = "&" if "?" in address else "?"
    for wanted in ("xml", "application/fhir%2Bxml"):
        answer = system.get(f"/{address.format(id=event)}{join}_count=2&_format={wanted}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/fhir+xml")
        assert etree.fromstring(answer.content).tag.startswith("{http://hl7.org/fhir}")
