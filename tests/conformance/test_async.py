"""Items 8 and 62: `Prefer: respond-async`, from the gateway to the worker and back (FHIR R4 async.html, ISiK)."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import httpx
import pytest
from deploy.local import probes
from deploy.local.child import Child, Command
from deploy.local.supervisor import Part

from creneau_shared.fhir.json import dumps
from tests.conformance.builders import (
    JSON,
    XML,
    Agenda,
    Resource,
    appointment,
    created,
    issue,
    organization,
    patient,
    unique,
)
from tests.fixtures.stack import Stack

ASYNC = {"Prefer": "respond-async"}
ANSWERED_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[None]:
    """Booking's worker, beside the light stack: without a broker it is alive, though not ready."""
    topology, name = stack.topology, "booking-async-worker"
    port = topology.folder.free_port(name)
    environment = topology.service_environment("booking", name)
    command = Command((*topology.programs["booking"], "worker"), environment)
    stack.start(Part(name, command, probes.http(port, "/health/live"), port))
    yield
    started: list[Child] = stack.stages.pop()
    for child in started:
        child.stop()


def wanted(agenda: Agenda, system: httpx.Client) -> Resource:
    return appointment(created(system, patient())["id"], agenda.slot(), "proposed")


def answered(client: httpx.Client, accepted: httpx.Response) -> httpx.Response:
    """The answer, polled for as the server says."""
    assert accepted.status_code == 202, accepted.text
    assert accepted.headers["Preference-Applied"] == "respond-async"
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    while True:
        answer = client.get(accepted.headers["Content-Location"])
        if "X-Progress" not in answer.headers:
            return answer
        assert answer.status_code == 202
        assert time.monotonic() < deadline, "no answer came"
        time.sleep(float(answer.headers["Retry-After"]))


@pytest.mark.usefixtures("worker")
def test_item_62_book_is_answered_later_as_it_would_be_at_once(
    stack: Stack, system: httpx.Client, agenda: Agenda
) -> None:
    """The address is absolute and below the base; there stands the Appointment, in JSON and in XML, for its asker."""
    body = wanted(agenda, system)
    accepted = system.post("/Appointment/$book", json=body, headers=ASYNC)
    assert accepted.headers["Content-Location"].startswith(f"{stack.fhir}/_async/booking/")
    assert issue(accepted)["severity"] == "information"
    answer = answered(system, accepted)
    booked = answer.json()
    assert (answer.status_code, booked["status"], answer.headers["ETag"]) == (201, "booked", 'W/"1"')
    assert answer.headers["Location"] == f"{stack.fhir}/Appointment/{booked['id']}/_history/1"
    assert answer.headers["Cache-Control"] == "no-store"
    assert system.get(f"/Appointment/{booked['id']}").json() == booked
    xml = system.get(accepted.headers["Content-Location"], headers={"Accept": XML})
    assert (xml.headers["Content-Type"].partition(";")[0], xml.status_code) == (XML, 201)
    with stack.client("system", subject=unique()) as other:
        assert other.get(accepted.headers["Content-Location"]).status_code == 404
    assert system.delete(accepted.headers["Content-Location"]).status_code == 202
    assert system.get(accepted.headers["Content-Location"]).status_code == 404
    refused = answered(system, system.post("/Appointment/$book", json=body, headers=ASYNC))
    assert (refused.status_code, refused.json()["resourceType"]) == (409, "OperationOutcome")


@pytest.mark.usefixtures("worker")
def test_item_08_other_interactions_and_preferences(system: httpx.Client, agenda: Agenda) -> None:
    """Search, history, create and a batch of one service; with return=minimal."""
    slot = agenda.slot()
    form = {"schedule": f"Schedule/{agenda.id}"}
    entry = {"request": {"method": "POST", "url": "Patient"}, "resource": patient()}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry, entry]}
    asked = [
        system.get("/Slot", params=form, headers=ASYNC),
        system.post("/Slot/_search", data=form, headers=ASYNC),
        system.get(f"/Slot/{slot['id']}/_history", headers=ASYNC),
        system.post("/Patient", json=patient(), headers={"Prefer": "respond-async, return=minimal"}),
        system.post("", json=bundle, headers=ASYNC),
        system.post("", json={**bundle, "type": "transaction"}, headers=ASYNC),
    ]
    found, by_form, versions, made, batch, transaction = (answered(system, one) for one in asked)
    assert [part["resource"]["id"] for part in found.json()["entry"]] == [slot["id"]]
    assert by_form.json()["total"] == 1
    assert versions.json()["type"] == "history"
    assert (made.status_code, made.content) == (201, b"")
    assert [part["response"]["status"] for part in batch.json()["entry"]] == ["201", "201"]
    assert transaction.json()["type"] == "transaction-response"


def test_item_08_every_service_takes_part(stack: Stack, system: httpx.Client) -> None:
    """Each records its own, and the gateway leads back to it; what has not begun can be cancelled."""
    for service, method, path, body in (
        ("directory", "POST", "/Organization", organization()),
        ("notifications", "GET", "/Communication", None),
    ):
        accepted = system.request(method, path, json=body, headers=ASYNC)
        at = accepted.headers["Content-Location"]
        assert at.startswith(f"{stack.fhir}/_async/{service}/")
        waiting = system.get(at, headers={"Accept-Language": "en"})
        assert (waiting.status_code, waiting.headers["X-Progress"]) == (202, "waiting")
        assert int(waiting.headers["Retry-After"]) >= 1
        assert system.delete(at).status_code == 202
        assert system.get(at).status_code == 404
    assert system.get("/_async/unknown/1").status_code == 404


def test_item_13_compressed_bodies_take_every_way(stack: Stack, system: httpx.Client, worker: None) -> None:
    """A resource at its service, a Bundle split by the gateway, and a request that is carried out later."""

    def send(address: str, body: Resource, **headers: str) -> httpx.Response:
        sent = {"Content-Type": JSON, "Content-Encoding": "gzip", **headers}
        return system.post(address, content=gzip.compress(dumps(body)), headers=sent)

    assert send("/Organization", organization()).status_code == 201
    entries = [
        {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        for resource in (organization(), patient())
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    split = send("", bundle).json()["entry"]
    assert [entry["response"]["status"] for entry in split] == ["201", "201"]
    whole = send("", {**bundle, "type": "transaction", "entry": entries[1:]})
    assert whole.status_code == 200, whole.text
    later = answered(system, send("/Patient", patient(), **ASYNC))
    assert later.status_code in (200, 201), later.text


def test_item_08_what_no_one_service_does_is_answered_at_once(system: httpx.Client) -> None:
    """A preference may be left aside, and then nothing says that it was applied."""
    entries = [
        {"request": {"method": "POST", "url": r["resourceType"]}, "resource": r}
        for r in (patient(), organization())
    ]
    mixed = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    for answer in (
        system.post("", json=mixed, headers=ASYNC),
        system.get("", params={"_type": "Slot,Organization", "_count": 1}, headers=ASYNC),
        system.get("/_history", params={"_count": 1}, headers=ASYNC),
        system.get("/metadata", headers=ASYNC),
    ):
        assert answer.status_code == 200, answer.text
        assert "Preference-Applied" not in answer.headers
        statuses = [e["response"]["status"] for e in answer.json().get("entry", []) if "response" in e]
        assert all(status in ("200", "201", "204") for status in statuses)


@pytest.mark.usefixtures("worker")
def test_what_is_carried_out_and_fetched_later_is_in_the_trail(stack: Stack, system: httpx.Client) -> None:
    """Carried out by the worker, on behalf of whoever asked; fetched by them, as often as they want."""
    subject = unique()
    with stack.client("system", subject=subject) as reader:
        id_ = created(system, patient())["id"]
        accepted = reader.get("/Patient", params={"_id": id_}, headers=ASYNC)
        assert answered(reader, accepted).status_code == 200
    trail = system.get("/AuditEvent", params={"altid": subject, "patient": f"Patient/{id_}"}).json()["entry"]
    # By id, which is given as the row is written: its time is when the request came, which may wait for its answer.
    written = sorted((entry["resource"] for entry in trail), key=lambda event: event["id"])
    assert [event["subtype"][0]["code"] for event in written] == ["search-type", "read"]
