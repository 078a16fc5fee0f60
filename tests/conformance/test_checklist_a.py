"""Scheduling (docs/checklists.md), A: core REST (1 to 9 and 13 to 19), over HTTP through the gateway of the running system."""

from __future__ import annotations

import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.xml import from_xml, to_xml
from tests.conformance.builders import (
    JSON,
    JSON_PATCH,
    SYSTEM,
    XML,
    Agenda,
    appointment,
    created,
    instant,
    issue,
    location,
    organization,
    patient,
    practitioner,
    slot,
    unique,
)
from tests.fixtures.stack import Stack

DIRECTORY = ("Organization", "Location", "HealthcareService", "Practitioner", "PractitionerRole", "Endpoint")
BOOKING = ("Schedule", "Slot", "Appointment", "AppointmentResponse", "Patient", "RelatedPerson")


def replace_op(path: str, value: Any) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": path, "value": value}]


# -- 1: the interactions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*DIRECTORY, *BOOKING])
def test_item_01_every_type_offers_every_interaction(system: httpx.Client, kind: str) -> None:
    statement = system.get("/metadata").json()["rest"][0]
    declared = next(resource for resource in statement["resource"] if resource["type"] == kind)
    codes = {interaction["code"] for interaction in declared["interaction"]}
    assert codes >= {"read", "vread", "create", "update", "patch", "delete", "search-type"}
    assert codes >= {"history-instance", "history-type"}
    assert system.get(f"/{kind}").json()["type"] == "searchset"
    assert system.get(f"/{kind}/_history").json()["type"] == "history"


def test_item_01_life_of_a_resource(system: httpx.Client) -> None:
    stored = created(system, organization())
    address = f"/Organization/{stored['id']}"
    assert system.get(address).json() == stored
    changed = system.put(address, json={**stored, "name": "Nouveau nom"})
    assert (changed.status_code, changed.json()["meta"]["versionId"]) == (200, "2")
    patched = system.patch(address, json=replace_op("/name", "Encore"), headers={"Content-Type": JSON_PATCH})
    assert (patched.status_code, patched.json()["name"]) == (200, "Encore")
    assert system.get(f"{address}/_history/1").json() == stored
    assert system.get(f"{address}/_history/2").json()["name"] == "Nouveau nom"
    assert system.delete(address).status_code == 204
    entries = system.get(f"{address}/_history").json()["entry"]
    assert [entry["request"]["method"] for entry in entries] == ["DELETE", "PUT", "PUT", "POST"]
    assert [entry["response"]["etag"] for entry in entries] == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    assert ["resource" in entry for entry in entries] == [False, True, True, True]


def test_item_01_history_since_at_and_pages(system: httpx.Client) -> None:
    stored = created(system, organization())
    address = f"/Organization/{stored['id']}"
    for number in range(2, 6):
        assert system.put(address, json={**stored, "name": f"Nom {number}"}).status_code == 200
    history = system.get(f"{address}/_history").json()["entry"]
    third = next(entry["resource"]["meta"] for entry in history if entry["response"]["etag"] == 'W/"3"')
    since = system.get(f"{address}/_history", params={"_since": third["lastUpdated"]}).json()["entry"]
    assert [entry["response"]["etag"] for entry in since][-1] == 'W/"3"'
    at = system.get(f"{address}/_history", params={"_at": third["lastUpdated"]}).json()["entry"]
    assert 'W/"3"' in [entry["response"]["etag"] for entry in at]
    assert 'W/"1"' not in [entry["response"]["etag"] for entry in at]

    seen, url = [], f"{address}/_history?_count=2"
    while url:
        page = system.get(url).json()
        seen += [entry["response"]["etag"] for entry in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert seen == [f'W/"{version}"' for version in (5, 4, 3, 2, 1)]
    assert system.get(f"{address}/_history", params={"_since": "hier"}).status_code == 400
    assert system.get(f"{address}/_history", params={"_cursor": "x"}).status_code == 400


def test_item_01_system_history_joins_the_services_in_order(system: httpx.Client) -> None:
    """Each version once, newest first, whichever service has it, also when a page ends between equals."""
    began = instant(datetime.now(UTC) - timedelta(seconds=1))
    mine = set()
    for _ in range(3):
        for resource in (created(system, organization()), created(system, patient())):
            mine.add(f"{resource['resourceType']}/{resource['id']}")
    seen: list[tuple[str, str]] = []
    url = f"/_history?_count=2&_since={began}"
    while url:
        page = system.get(url).json()
        assert len(page["entry"]) <= 2
        seen += [(e["response"]["lastModified"], e["fullUrl"].split("/fhir/")[1]) for e in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    names = [name for _, name in seen if name in mine]
    assert sorted(names) == sorted(mine)
    assert [moment for moment, _ in seen] == sorted((moment for moment, _ in seen), reverse=True)


def test_item_01_type_history_of_slots(agenda: Agenda, system: httpx.Client) -> None:
    """Slots are stored in another way than the other types: their history reads the same."""
    stored = agenda.slot()
    assert (
        system.put(f"/Slot/{stored['id']}", json={**stored, "status": "busy-unavailable"}).status_code == 200
    )
    assert system.delete(f"/Slot/{stored['id']}").status_code == 204
    own = system.get(f"/Slot/{stored['id']}/_history").json()["entry"]
    assert [entry["request"]["method"] for entry in own] == ["DELETE", "PUT", "POST"]
    everything = system.get("/Slot/_history", params={"_count": 3}).json()["entry"]
    assert [entry["fullUrl"] for entry in everything] == [own[0]["fullUrl"]] * 3
    assert system.get(f"/Slot/{stored['id']}/_history/3").status_code == 410


# -- 2 and 3: versions and conditional reads --------------------------------------------------------------------


def test_item_02_etag_last_modified_and_location(system: httpx.Client, stack: Stack) -> None:
    made = system.post("/Patient", json=patient())
    id_ = made.json()["id"]
    assert made.headers["Location"] == f"{stack.fhir}/Patient/{id_}/_history/1"
    replaced = system.put(f"/Patient/{id_}", json=made.json())
    for answer, version in ((made, 1), (replaced, 2), (system.get(f"/Patient/{id_}"), 2)):
        assert answer.headers["ETag"] == f'W/"{version}"'
        assert answer.json()["meta"]["versionId"] == str(version)
        updated = datetime.fromisoformat(answer.json()["meta"]["lastUpdated"])
        assert parsedate_to_datetime(answer.headers["Last-Modified"]) == updated.replace(microsecond=0)
    assert system.delete(f"/Patient/{id_}").headers["ETag"] == 'W/"3"'
    client_named = f"/Patient/{unique()}"
    put = system.put(client_named, json=patient(id=client_named.removeprefix("/Patient/")))
    assert (put.status_code, put.headers["Location"]) == (201, f"{stack.fhir}{client_named}/_history/1")


def test_item_02_what_the_server_gives_is_the_servers(system: httpx.Client) -> None:
    """A client's id and version are ignored on create; its tags and profiles are kept."""
    meta = {
        "versionId": "77",
        "lastUpdated": "2001-01-01T00:00:00Z",
        "tag": [{"system": SYSTEM, "code": "t"}],
    }
    stored = created(system, organization(id="chosen", meta=meta))
    assert stored["id"] != "chosen"
    assert stored["meta"]["versionId"] == "1"
    assert stored["meta"]["lastUpdated"] > "2020"
    assert stored["meta"]["tag"] == meta["tag"]


def test_item_03_not_modified(system: httpx.Client) -> None:
    stored = system.post("/Patient", json=patient())
    address = f"/Patient/{stored.json()['id']}"
    for header in ('W/"1"', '"1"', 'W/"7", W/"1"', "*"):
        answer = system.get(address, headers={"If-None-Match": header})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == 'W/"1"'
    assert system.get(address, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    modified = stored.headers["Last-Modified"]
    assert system.get(address, headers={"If-Modified-Since": modified}).status_code == 304
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(days=1), usegmt=True)
    assert system.get(address, headers={"If-Modified-Since": earlier}).status_code == 200
    assert system.get(address, headers={"If-Modified-Since": "jadis"}).status_code == 200


# -- 4 and 5: conditions on writes ------------------------------------------------------------------------------


def test_item_04_if_match_is_412_on_mismatch(system: httpx.Client) -> None:
    stored = created(system, patient())
    address = f"/Patient/{stored['id']}"
    operations = replace_op("/name/0/family", "Autre")
    stale = {"If-Match": 'W/"9"'}
    for answer in (
        system.put(address, json=stored, headers=stale),
        system.patch(address, json=operations, headers={**stale, "Content-Type": JSON_PATCH}),
        system.delete(address, headers=stale),
    ):
        assert answer.status_code == 412
        assert issue(answer)["code"] == "conflict"
        assert answer.headers["ETag"] == 'W/"1"'
    assert system.get(address).json() == stored
    fresh = {"If-Match": 'W/"1"', "Content-Type": JSON_PATCH}
    assert system.patch(address, json=operations, headers=fresh).status_code == 200
    assert system.put(address, json=stored, headers={"If-Match": "pas une version"}).status_code == 400
    nobody = patient(id=unique())
    assert (
        system.put(f"/Patient/{nobody['id']}", json=nobody, headers={"If-Match": 'W/"1"'}).status_code == 412
    )


def test_item_04_of_two_writers_with_one_version_one_wins(system: httpx.Client) -> None:
    stored = created(system, organization())

    def write(number: int) -> int:
        body = {**stored, "name": f"Auteur {number}"}
        headers = {"If-Match": 'W/"1"'}
        return system.put(f"/Organization/{stored['id']}", json=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [200] + [412] * 7


def test_item_05_conditional_create(system: httpx.Client) -> None:
    value = unique()
    condition = {"If-None-Exist": f"identifier={SYSTEM}|{value}"}
    first = system.post("/Organization", json=organization(value), headers=condition)
    again = system.post("/Organization", json=organization(value), headers=condition)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Location"] == first.headers["Location"]
    created(system, organization(value))
    many = system.post("/Organization", json=organization(value), headers=condition)
    assert many.status_code == 412
    assert issue(many)["code"] == "multiple-matches"
    for nonsense in ("", "nonsense=1", "identifier="):
        answer = system.post("/Organization", json=organization(), headers={"If-None-Exist": nonsense})
        assert answer.status_code == 400, nonsense


def test_item_05_the_condition_may_be_the_whole_address_of_a_search(
    system: httpx.Client, stack: Stack
) -> None:
    """As HAPI's client sends it, alone, in a batch and in a transaction; one of another server or type is refused."""
    value = unique()
    first = created(system, organization(value))
    query = f"identifier={SYSTEM}%7C{value}"
    forms = [f"?{query}", f"Organization?{query}", f"{stack.fhir}/Organization?{query}"]
    wrong = [f"Patient?{query}", f"https://elsewhere.example/fhir/Organization?{query}"]
    for form, status in [*((f, 200) for f in forms), *((f, 400) for f in wrong)]:
        alone = system.post("/Organization", json=organization(value), headers={"If-None-Exist": form})
        assert alone.status_code == status, form
        request = {"method": "POST", "url": "Organization", "ifNoneExist": form}
        entry = {"fullUrl": f"urn:uuid:{uuid4()}", "resource": organization(value), "request": request}
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
        response = system.post("", json=bundle).json()["entry"][0]["response"]
        assert response["status"] == str(status), form
        whole = system.post("", json={**bundle, "type": "transaction"})
        assert whole.status_code == status, form
        if status == 200:
            assert alone.headers["Location"].startswith(f"{stack.fhir}/Organization/{first['id']}/")
            assert response["location"] == alone.headers["Location"]
        else:
            assert issue(whole)["expression"] == ["Bundle.entry[0].request.ifNoneExist"]


def test_item_02_every_write_says_where_its_version_stands(system: httpx.Client, stack: Stack) -> None:
    """Location and, as the body is that version, Content-Location; in a batch the same in the response."""
    made = system.post("/Patient", json=patient())
    stored = made.json()
    address = f"/Patient/{stored['id']}"
    put = system.put(address, json=stored)
    headers = {"Content-Type": JSON_PATCH}
    patched = system.patch(address, json=replace_op("/name/0/family", "Autre"), headers=headers)
    for number, answer in enumerate((made, put, patched), 1):
        where = f"{stack.fhir}{address}/_history/{number}"
        assert answer.headers["Location"] == answer.headers["Content-Location"] == where
        assert answer.headers["ETag"] == f'W/"{number}"'
        assert "Last-Modified" in answer.headers
    silent = system.put(address, json=stored, headers={"Prefer": "return=minimal"})
    assert silent.headers["Location"] == f"{stack.fhir}{address}/_history/4"
    assert "Content-Location" not in silent.headers
    operations = b64encode(dumps(replace_op("/name/0/family", "Encore"))).decode()
    binary = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": operations}
    entries = [
        {"resource": stored, "request": {"method": "PUT", "url": address[1:]}},
        {"resource": binary, "request": {"method": "PATCH", "url": address[1:]}},
    ]
    for entry, number in zip(entries, (5, 6), strict=True):
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
        response = system.post("", json=bundle).json()["entry"][0]["response"]
        assert response["location"] == f"{stack.fhir}{address}/_history/{number}"
        assert (response["status"], response["etag"]) == ("200", f'W/"{number}"')
        assert "lastModified" in response


def test_item_05_conditional_create_race_makes_one(system: httpx.Client) -> None:
    value = unique()
    condition = {"If-None-Exist": f"identifier={SYSTEM}|{value}"}

    def attempt(_: int) -> int:
        return system.post("/Patient", json=patient(value), headers=condition).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(attempt, range(16)))
    assert statuses == [200] * 15 + [201]
    assert system.get("/Patient", params={"identifier": f"{SYSTEM}|{value}"}).json()["total"] == 1


def test_item_05_conditional_update(system: httpx.Client) -> None:
    value = unique()
    search = {"identifier": f"{SYSTEM}|{value}"}
    made = system.put("/Organization", params=search, json=organization(value))
    assert made.status_code == 201
    id_ = made.json()["id"]
    changed = system.put("/Organization", params=search, json=organization(value, name="Deux"))
    assert (changed.status_code, changed.json()["id"], changed.json()["name"]) == (200, id_, "Deux")
    other_id = system.put("/Organization", params=search, json=organization(value, id=unique()))
    assert other_id.status_code == 400
    stale = system.put(
        "/Organization", params=search, json=organization(value), headers={"If-Match": 'W/"1"'}
    )
    assert stale.status_code == 412
    created(system, organization(value))
    assert system.put("/Organization", params=search, json=organization(value)).status_code == 412
    named = organization(id=unique())
    nobody = {"identifier": f"{SYSTEM}|{unique()}"}
    own_id = system.put("/Organization", params=nobody, json=named)
    assert (own_id.status_code, own_id.json()["id"]) == (201, named["id"])
    assert system.put("/Organization", json=organization()).status_code == 400


def test_item_05_conditional_patch_and_delete(system: httpx.Client) -> None:
    value = unique()
    search = {"identifier": f"{SYSTEM}|{value}"}
    patch: dict[str, Any] = {
        "params": search,
        "json": replace_op("/name", "Corrigé"),
        "headers": {"Content-Type": JSON_PATCH},
    }
    assert system.patch("/Organization", **patch).status_code == 404
    assert system.delete("/Organization", params=search).status_code == 204
    one = created(system, organization(value))
    assert system.patch("/Organization", **patch).json()["name"] == "Corrigé"
    other = created(system, organization(value))
    assert system.patch("/Organization", **patch).status_code == 412
    refused = system.delete("/Organization", params=search)
    assert (refused.status_code, issue(refused)["code"]) == (412, "multiple-matches")
    assert system.delete(f"/Organization/{other['id']}").status_code == 204
    assert system.delete("/Organization", params=search).status_code == 204
    assert system.get(f"/Organization/{one['id']}").status_code == 410
    assert system.delete("/Organization").status_code == 400, "a condition is needed"


# -- 6 and 7 ----------------------------------------------------------------------------------------------------


def test_item_06_gone_and_unknown(system: httpx.Client, agenda: Agenda) -> None:
    for stored in (created(system, patient()), created(system, location()), agenda.slot()):
        address = f"/{stored['resourceType']}/{stored['id']}"
        assert system.delete(address).status_code == 204
        gone = system.get(address)
        assert (gone.status_code, issue(gone)["code"], gone.headers["ETag"]) == (410, "deleted", 'W/"2"')
        assert system.get(f"{address}/_history/2").status_code == 410
        assert system.get(f"{address}/_history/1").json() == stored
        assert system.get(f"{address}/_history/3").status_code == 404
        assert system.get(f"{address}/_history/abc").status_code == 404
        assert system.delete(address).status_code == 204
        back = system.put(address, json=stored)
        assert (back.status_code, back.json()["meta"]["versionId"]) == (201, "3")
    for address in (f"/Patient/{unique()}", "/Patient/pas%20un%20id", "/Patient/" + "x" * 65):
        unknown = system.get(address)
        assert (unknown.status_code, issue(unknown)["code"]) == (404, "not-found")
    assert system.delete(f"/Patient/{unique()}").status_code == 204
    assert system.get("/Medication/1").status_code == 404
    assert system.get(f"/Patient/{unique()}/_history").status_code == 404


def test_item_07_json_patch(system: httpx.Client) -> None:
    stored = created(system, patient())
    address = f"/Patient/{stored['id']}"
    headers = {"Content-Type": f"{JSON_PATCH}; charset=utf-8"}
    operations = [
        {"op": "test", "path": "/name/0/family", "value": "Fictive"},
        {"op": "add", "path": "/birthDate", "value": "1980-02-03"},
        {"op": "add", "path": "/name/0/given/-", "value": "Alix"},
    ]
    done = system.patch(address, json=operations, headers=headers)
    assert (done.json()["birthDate"], done.json()["name"][0]["given"]) == ("1980-02-03", ["Camille", "Alix"])
    failing = [*operations[1:], {"op": "test", "path": "/birthDate", "value": "1900-01-01"}]
    assert system.patch(address, json=failing, headers=headers).status_code == 422
    invalid = replace_op("/birthDate", "le 3 février")
    refused = system.patch(address, json=invalid, headers=headers)
    assert (refused.status_code, issue(refused)["expression"]) == (400, ["Patient.birthDate"])
    assert system.patch(address, json={"op": "add"}, headers=headers).status_code == 400
    assert system.get(address).json() == done.json(), "all of it or nothing"


def test_item_07_fhirpath_patch(system: httpx.Client) -> None:
    stored = created(system, patient())

    def operation(kind: str, path: str, **values: str) -> dict[str, Any]:
        parts = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
        return {"name": "operation", "part": parts + [{"name": n[0], n[1]: v} for n, v in _named(values)]}

    def _named(values: dict[str, str]) -> list[tuple[tuple[str, str], str]]:
        return [((name, "valueString" if name == "name" else "valueDate"), v) for name, v in values.items()]

    body = {
        "resourceType": "Parameters",
        "parameter": [operation("add", "Patient", name="birthDate", value="1980-02-03")],
    }
    for content_type, content in ((JSON, dumps(body)), (XML, to_xml(body))):
        answer = system.patch(
            f"/Patient/{stored['id']}",
            headers={"Content-Type": content_type},
            content=content,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["birthDate"] == "1980-02-03"
        removal = {"resourceType": "Parameters", "parameter": [operation("delete", "Patient.birthDate")]}
        removed = system.patch(f"/Patient/{stored['id']}", json=removal, headers={"Content-Type": JSON})
        assert "birthDate" not in removed.json()


def test_item_07_xml_patch(system: httpx.Client) -> None:
    stored = created(system, patient(birthDate="1980-02-03"))
    body = (
        '<diff xmlns:f="http://hl7.org/fhir">'
        '<replace sel="f:Patient/f:birthDate/@value">1990-01-01</replace></diff>'
    )
    headers = {"Content-Type": "application/xml-patch+xml"}
    answer = system.patch(f"/Patient/{stored['id']}", content=body, headers=headers)
    assert (answer.status_code, answer.json().get("birthDate")) == (200, "1990-01-01"), answer.text
    unknown = system.patch(f"/Patient/{stored['id']}", content="x", headers={"Content-Type": "text/x-diff"})
    assert unknown.status_code == 415
    assert JSON_PATCH in unknown.headers["Accept-Patch"]


# -- 8 and 9: preferences and representations -------------------------------------------------------------------


def test_item_08_prefer_return(system: httpx.Client) -> None:
    def prefer(value: str) -> dict[str, str]:
        return {"Prefer": f"return={value}"}

    minimal = system.post("/Organization", json=organization(), headers=prefer("minimal"))
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert {"etag", "location", "last-modified"} <= set(minimal.headers)
    outcome = system.post("/Organization", json=organization(), headers=prefer("OperationOutcome"))
    assert (outcome.status_code, issue(outcome)["severity"]) == (201, "information")
    assert "Location" in outcome.headers
    full = system.post("/Organization", json=organization(), headers=prefer("representation"))
    address = f"/Organization/{full.json()['id']}"
    assert full.json()["resourceType"] == "Organization"
    for value in ("minimal", "OperationOutcome"):
        assert system.get(address, headers=prefer(value)).json() == full.json(), "a read is a read"
    deleted = system.delete(address, headers=prefer("OperationOutcome"))
    assert (deleted.status_code, issue(deleted)["severity"]) == (200, "information")
    refused = system.post("/Organization", json={"resourceType": "Organization"}, headers=prefer("minimal"))
    assert issue(refused)["code"] == "invariant", "a refusal is always told"


def test_item_08_prefer_handling(system: httpx.Client) -> None:
    lenient = system.get("/Organization", params={"inconnu": "1", "_count": 1})
    assert lenient.status_code == 200
    strict = system.get("/Organization", params={"inconnu": "1"}, headers={"Prefer": "handling=strict"})
    assert strict.status_code == 400
    both = {"Prefer": "return=minimal; handling=strict"}
    assert system.get("/Organization", params={"inconnu": "1"}, headers=both).status_code == 400


@pytest.mark.parametrize(
    ("accept", "format_", "served"),
    [
        (None, None, JSON),
        ("*/*", None, JSON),
        (XML, None, XML),
        ("application/xml", None, XML),
        ("text/xml;q=0.9, application/json;q=0.1", None, XML),
        (f"{JSON};fhirVersion=4.0", None, JSON),
        ("application/json+fhir", None, JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", None, JSON),
        (XML, "json", JSON),
        (JSON, "xml", XML),
        ("image/png", "application/fhir+xml", XML),
        (None, "application/fhir json", JSON),
        (None, "text/xml", XML),
    ],
)
def test_item_09_format_negotiation(
    system: httpx.Client, accept: str | None, format_: str | None, served: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    for address in ("/Organization?_count=1", "/metadata", "/Organization/unknown", "/_history?_count=1"):
        params = {"_format": format_} if format_ else {}
        answer = system.get(httpx.URL(address).copy_merge_params(params), headers=headers)
        assert answer.headers["Content-Type"].startswith(served), address
        parsed = loads(answer.content) if served == JSON else from_xml(answer.content)
        assert parsed["resourceType"] in ("Bundle", "CapabilityStatement", "OperationOutcome")


def test_item_09_impossible_formats(system: httpx.Client) -> None:
    for address in ("/Organization", "/metadata"):
        refused = system.get(address, headers={"Accept": "image/png"})
        assert (refused.status_code, issue(refused)["code"]) == (406, "not-supported")
        assert system.get(address, params={"_format": "turtle"}).status_code == 406
        assert system.get(address, headers={"Accept": f"{JSON};fhirVersion=5.0"}).status_code == 406
    body = b"resourceType: Organization"
    for content_type in ("text/plain", "application/x-yaml", f"{JSON}; charset=latin-1"):
        answer = system.post("/Organization", content=body, headers={"Content-Type": content_type})
        assert (answer.status_code, issue(answer)["code"]) == (415, "not-supported")
    assert system.post("/Organization", content=body).status_code == 415


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        "application/json",
        "application/json+fhir",
        f"{JSON}; charset=UTF-8",
        f'{JSON};fhirVersion="4.0"',
    ],
)
def test_item_09_spellings_of_json(system: httpx.Client, content_type: str) -> None:
    content = b'{"resourceType":"Organization","name":"\xc3\x89tablissement"}'
    stored = system.post("/Organization", content=content, headers={"Content-Type": content_type})
    assert (stored.status_code, stored.json()["name"]) == (201, "Établissement")


def test_item_09_decimals_and_primitive_extensions_are_kept(system: httpx.Client) -> None:
    """1.50 is not 1.5, and what is said of a value stays beside it, in JSON and through XML."""
    extension = [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    ]
    content = (
        b'{"resourceType":"Location","name":"Phare","position":{"longitude":-1.50,"latitude":47.1230000},'
        b'"_description":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason",'
        b'"valueCode":"unknown"}]}}'
    )
    stored = system.post("/Location", content=content, headers={"Content-Type": JSON})
    assert stored.status_code == 201, stored.text
    address = f"/Location/{stored.json()['id']}"
    assert b'"longitude":-1.50,"latitude":47.1230000' in system.get(address).content
    as_xml = system.get(address, headers={"Accept": XML})
    assert b'value="-1.50"' in as_xml.content
    back = system.put(address, content=as_xml.content, headers={"Content-Type": XML})
    assert b'"latitude":47.1230000' in back.content
    assert back.json()["_description"] == {"extension": extension}


# -- 13 to 15: the HTTP around it -------------------------------------------------------------------------------


def test_item_13_gzip_caching_and_cors(system: httpx.Client, stack: Stack) -> None:
    created(system, organization())
    zipped = system.get("/Organization", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    personal = created(system, patient())
    for address in (f"/Patient/{personal['id']}", "/Patient", "/_history", "/Patient/none", "/Appointment"):
        assert system.get(address).headers["Cache-Control"] == "no-store", address
    own = "/Practitioner/1/Appointment?_count=1"
    assert system.get(own).headers["Cache-Control"] == "no-store"
    assert system.get("/Slot").headers["Cache-Control"] == "no-cache"
    origin = {"Origin": "https://app.example.org"}
    for address in ("/Organization", "/metadata"):
        answer = system.get(address, headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        asked = {**origin, "Access-Control-Request-Method": "PUT"}
        preflight = httpx.options(f"{stack.fhir}{address}", headers=asked)
        assert preflight.status_code == 204
        assert "If-Match" in preflight.headers["Access-Control-Allow-Headers"]


def test_item_14_request_ids_are_echoed(system: httpx.Client) -> None:
    for address in ("/Organization?_count=1", "/metadata", "/Patient/none", "/Unknown"):
        given = system.get(address, headers={"X-Request-Id": "abc-1", "X-Correlation-Id": "corr-2"})
        assert (given.headers["X-Request-Id"], given.headers["X-Correlation-Id"]) == ("abc-1", "corr-2")
        assert system.get(address).headers["X-Request-Id"]
        hostile = system.get(address, headers={"X-Request-Id": "<script>"})
        assert "<" not in hostile.headers["X-Request-Id"]


def test_item_15_405_says_what_is_allowed(system: httpx.Client) -> None:
    for method, address, allowed in (
        ("PATCH", "/metadata", "GET, HEAD"),
        ("DELETE", "", "GET, HEAD, POST"),
        ("POST", "/Patient/1", "HEAD, GET, PUT, PATCH, DELETE"),
        ("PUT", "/Communication/1", "HEAD, GET"),
        ("DELETE", "/Patient/1/_history", "GET, HEAD"),
        ("PUT", "/SearchParameter/Slot-end", "GET, HEAD"),
        ("GET", "/Appointment/$book", "POST"),
        ("GET", "/Patient/_search", "POST"),
    ):
        answer = system.request(method, address)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed), address
        assert issue(answer)["code"] == "not-supported"


def test_item_15_501_for_unknown_operations(system: httpx.Client) -> None:
    for address in ("/Patient/$everything", "/$nothing", "/Slot/1/$nothing", "/Organization/$find"):
        answer = system.post(address, json={"resourceType": "Parameters"})
        assert (answer.status_code, issue(answer)["code"]) == (501, "not-supported"), address


def test_item_15_a_patient_who_asks_too_often_is_told_to_wait(stack: Stack, system: httpx.Client) -> None:
    """Only that patient: another one, and software, are answered."""
    with (
        stack.client("patient", subject=unique()) as hasty,
        stack.client("patient", subject=unique()) as other,
    ):
        own = f"{stack.service_url('booking')}/fhir/Slot"
        deadline, answers = time.monotonic() + 120, [hasty.get(own)]
        with ThreadPoolExecutor(8) as pool:
            while answers[-1].status_code != 429:
                assert time.monotonic() < deadline, "never refused"
                answers = list(pool.map(lambda _: hasty.get(f"{own}/a/b/c/d"), range(40)))
        assert issue(answers[-1])["code"] == "throttled"
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert other.get(own, params={"_count": 0}).status_code == 200
        assert system.get("/Slot", params={"_count": 0}).status_code == 200


def test_item_15_head_is_get_without_body(system: httpx.Client) -> None:
    stored = created(system, organization())
    for address in (f"/Organization/{stored['id']}", "/Organization?_count=1", "/metadata"):
        got, head = system.get(address), system.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == got.headers["Content-Type"]


def test_item_15_limits_are_told(system: httpx.Client) -> None:
    many = system.get("/Organization?" + "&".join(f"identifier={number}" for number in range(201)))
    assert (many.status_code, issue(many)["severity"]) == (400, "error")
    values = system.get("/Organization", params={"identifier": ",".join(map(str, range(300)))})
    assert (values.status_code, issue(values)["code"]) == (400, "too-costly")
    long = system.post("/Organization", json=organization(name="x" * (5 * 1024 * 1024)))
    assert (long.status_code, issue(long)["code"]) == (413, "too-long")
    entries = [{"request": {"method": "GET", "url": "Slot/1"}}] * 1001
    bundle = system.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert (bundle.status_code, issue(bundle)["code"]) == (400, "too-costly")
    deep = b'{"resourceType":"Organization","a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    nested = system.post("/Organization", content=deep, headers={"Content-Type": JSON})
    assert (nested.status_code, issue(nested)["code"]) == (400, "structure")


# -- 16 to 19: what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*DIRECTORY, *BOOKING, "Communication"])
def test_item_16_validate_on_every_type(system: httpx.Client, kind: str) -> None:
    answer = system.post(f"/{kind}/$validate", json={"resourceType": kind, "nonsense": 1})
    assert answer.status_code == 200
    assert {i["severity"] for i in answer.json()["issue"]} >= {"error"}
    assert f"{kind}.nonsense" in [e for i in answer.json()["issue"] for e in i.get("expression", [])]


def test_item_16_validate_answers_without_storing(system: httpx.Client) -> None:
    value = unique()
    good = system.post("/Patient/$validate", json=patient(value))
    assert (good.status_code, issue(good)["severity"]) == (200, "information")
    assert system.get("/Patient", params={"identifier": value}).json()["total"] == 0
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient()}]}
    assert issue(system.post("/Patient/$validate", json=wrapped))["severity"] == "information"
    stored = created(system, patient())
    assert issue(system.get(f"/Patient/{stored['id']}/$validate"))["severity"] == "information"
    profile = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-slot"
    claimed = slot("x", datetime(2030, 1, 1, tzinfo=UTC), meta={"profile": [profile]})
    assert system.post("/Slot/$validate", json=claimed).json()["resourceType"] == "OperationOutcome"
    unknown = {**claimed, "meta": {"profile": ["https://example.org/unknown"]}}
    assert system.post("/Slot/$validate", json=unknown).json()["issue"]


@pytest.mark.parametrize(
    ("content", "expression"),
    [
        (b'{"resourceType":"Patient","nickname":"x"}', "Patient.nickname"),
        (b'{"resourceType":"Patient","name":[]}', "Patient.name"),
        (b'{"resourceType":"Patient","name":null}', "Patient.name"),
        (b'{"resourceType":"Patient","name":[{}]}', "Patient.name[0]"),
        (b'{"resourceType":"Patient","gender":""}', "Patient.gender"),
        (b'{"resourceType":"Patient","implicitRules":"https://example.org/r"}', "Patient.implicitRules"),
        (
            b'{"resourceType":"Patient","modifierExtension":[{"url":"https://example.org/m","valueCode":"x"}]}',
            "Patient.modifierExtension[0]",
        ),
        (b'{"resourceType":"Patient","gender":"unclear"}', "Patient.gender"),
        (b'{"resourceType":"Patient","active":"true"}', "Patient.active"),
        (b'{"resourceType":"Patient","birthDate":"1980-02-30"}', "Patient.birthDate"),
    ],
)
def test_item_17_what_is_not_understood_is_refused(
    system: httpx.Client, content: bytes, expression: str
) -> None:
    answer = system.post("/Patient", content=content, headers={"Content-Type": JSON})
    assert answer.status_code in (400, 422), answer.text
    places = [place for i in answer.json()["issue"] for place in i.get("expression", [])]
    assert any(place.startswith(expression) for place in places), places


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"resourceType":"Patient","resourceType":"Patient"}', b"null"],
)
def test_item_17_unreadable_bodies_are_400(system: httpx.Client, content: bytes) -> None:
    answer = system.post("/Patient", content=content, headers={"Content-Type": JSON})
    assert (answer.status_code, issue(answer)["code"]) == (400, "structure")
    assert system.post("/Patient", content=content, headers={"Content-Type": XML}).status_code == 400


def test_item_17_the_type_is_that_of_the_address(system: httpx.Client) -> None:
    assert system.post("/Patient", json=organization()).status_code == 400
    stored = created(system, patient())
    assert system.put(f"/Patient/{stored['id']}", json={**stored, "id": unique()}).status_code == 400
    without = {name: value for name, value in stored.items() if name != "id"}
    assert system.put(f"/Patient/{stored['id']}", json=without).status_code == 400


def test_item_18_invariants_and_bindings_of_the_whole_resource(system: httpx.Client) -> None:
    """dom-2 to dom-5; the types' own are in test_invalid_derived."""
    inner = {"resourceType": "Organization", "id": "o", "name": "x"}
    managing = {"reference": "#o"}
    cases: dict[str, dict[str, Any]] = {
        "dom-2": {"contained": [{**inner, "contained": [inner]}], "managingOrganization": managing},
        "dom-3": {"contained": [inner]},
        "dom-4": {"contained": [{**inner, "meta": {"versionId": "1"}}], "managingOrganization": managing},
        "dom-5": {
            "contained": [{**inner, "meta": {"security": [{"code": "x"}]}}],
            "managingOrganization": managing,
        },
    }
    for name, more in cases.items():
        answer = system.post("/Patient", json=patient(**more))
        assert answer.status_code in (400, 422), name
        assert name in answer.text, answer.text
    assert system.post("/Patient", json=patient(contained=[inner], managingOrganization=managing)).is_success


def test_item_19_time_runs_forwards(system: httpx.Client, agenda: Agenda) -> None:
    backwards = system.post("/Slot", json=slot(agenda.id, agenda.day, minutes=-20))
    assert (backwards.status_code, issue(backwards)["code"]) == (422, "business-rule")
    who = created(system, patient())["id"]
    free = agenda.slot()
    wrong = {**appointment(who, free), "end": free["start"], "start": free["end"]}
    assert system.post("/Appointment", json=wrong).status_code == 422
    outside = {**appointment(who, free), "end": instant(agenda.day + timedelta(hours=3))}
    answer = system.post("/Appointment", json=outside)
    assert (answer.status_code, issue(answer)["expression"]) == (422, ["Appointment.start"])
    assert system.get(f"/Slot/{free['id']}").json()["status"] == "free"


def test_item_19_participants_are_of_allowed_types(system: httpx.Client, agenda: Agenda) -> None:
    free = agenda.slot()
    body = appointment("x", free)
    body["participant"][0]["actor"] = {"reference": "Organization/1"}
    answer = system.post("/Appointment", json=body)
    assert answer.status_code in (400, 422)
    assert any("participant[0].actor" in e for i in answer.json()["issue"] for e in i["expression"])


# -- forgiving where real clients are ---------------------------------------------------------------------------


def test_forgiving_trailing_slashes_and_capital_uuids(system: httpx.Client) -> None:
    stored = created(system, practitioner())
    assert system.get(f"/Practitioner/{stored['id']}/").json() == stored
    assert system.get("/Practitioner/", params={"_id": stored["id"]}).json()["total"] == 1
    assert system.get(f"/Practitioner/{stored['id'].upper()}").json() == stored
    body = {**stored, "id": stored["id"].upper()}
    changed = system.put(f"/Practitioner/{stored['id'].upper()}", json=body)
    assert (changed.status_code, changed.json()["id"]) == (200, stored["id"])
    assert system.post("/", json={"resourceType": "Bundle", "type": "batch"}).status_code == 200
