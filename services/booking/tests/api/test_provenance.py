"""Who made or changed what: Provenance as a type, as an include, and in the header of the write it tells of."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, patient, unique
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource

PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def provenance(*targets: str, **more: Any) -> Resource:
    author = {"coding": [{"system": PARTICIPANT, "code": "author"}]}
    resource: Resource = {
        "resourceType": "Provenance",
        "recorded": "2026-11-16T08:00:00Z",
        "agent": [{"type": author, "who": {"reference": "Practitioner/dr-l-hermite"}}],
        **more,
    }
    return {**resource, "target": [{"reference": t} for t in targets]} if targets else resource


def header(resource: Resource) -> dict[str, str]:
    return {"X_Provenance": json.dumps(resource)}


@pytest.fixture
def software(callers: Callers) -> Caller:
    return callers.software()


async def told(caller: Caller, target: str) -> list[str]:
    """The versions of a resource that some Provenance tells of."""
    found = (await caller.get("Provenance", target=target, _sort="_lastUpdated")).json()
    entries = found.get("entry", [])
    return [entry["resource"]["target"][0]["reference"].rpartition("/")[2] for entry in entries]


async def booked(practice: Practice) -> tuple[str, Agenda]:
    agenda, camille = await practice.open_agenda(), await practice.new_patient()
    stored = await practice.create(appointment("booked", slots=agenda.slots[:1], patient=camille))
    return f"Appointment/{stored.id}", agenda


async def test_created_read_and_searched_by_every_parameter(practice: Practice, software: Caller) -> None:
    target = await practice.new_patient()
    source, place = unique("doc"), unique("lieu")
    signature = {
        "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}],
        "when": "2026-11-16T08:00:00Z",
        "who": {"reference": "Practitioner/dr-l-hermite"},
    }
    sent = provenance(
        target,
        occurredDateTime="2026-11-15",
        location={"reference": f"Location/{place}"},
        entity=[{"role": "source", "what": {"reference": f"DocumentReference/{source}"}}],
        signature=[signature],
    )
    created = await software.post("Provenance", sent)
    assert created.status_code == 201, created.text
    stored = created.json()
    path = f"Provenance/{stored['id']}"
    assert (await software.get(path)).json() == stored
    assert (await software.get(f"{path}/_history/1")).json() == stored
    assert (await software.get(f"{path}/_history")).json()["entry"][0]["resource"] == stored
    for name, value in {
        "target": target,
        "patient": target,
        "agent": "Practitioner/dr-l-hermite",
        "agent-type": f"{PARTICIPANT}|author",
        "entity": f"DocumentReference/{source}",
        "location": f"Location/{place}",
        "recorded": "2026-11-16",
        "when": "2026-11-15",
        "signature-type": "1.2.840.10065.1.12.1.1",
    }.items():
        found = (await software.get("Provenance", **{"_id": stored["id"], name: value})).json()
        assert found["total"] == 1, name
        missing = (
            await software.get("Provenance", **{"_id": stored["id"], f"{name}:missing": "true"})
        ).json()
        assert missing["total"] == 0, name
    assert (await software.put(path, {**stored})).status_code == 405
    assert (await software.delete(path)).status_code == 405


@pytest.mark.parametrize(
    "broken",
    [
        {"agent": []},
        {"agent": [{}]},
        {"recorded": "hier"},
        {"recorded": None},
        {"entity": [{"role": "invention", "what": {"reference": "Patient/1"}}]},
        {"sender": "x"},
    ],
    ids=str,
)
async def test_what_r4_does_not_allow_is_refused(
    practice: Practice, software: Caller, broken: Resource
) -> None:
    """By itself and in the header; the header's write is then not made."""
    resource = {name: value for name, value in {**provenance(), **broken}.items() if value is not None}
    alone = await software.post("Provenance", {**resource, "target": [{"reference": "Patient/1"}]})
    assert alone.status_code in (400, 422), alone.text
    key = unique("urn:x")
    person = patient(identifier=[{"system": "urn:test", "value": key}])
    refused = await software.post("Patient", person, **header(resource))
    assert refused.status_code == 400, refused.text
    assert (await software.get("Patient", identifier=f"urn:test|{key}")).json()["total"] == 0


async def test_the_header_tells_of_each_write(practice: Practice, software: Caller) -> None:
    """Create, update, patch and delete: each version that was written, and no other."""
    said = header(provenance())
    created = await software.post("Patient", patient(), **said)
    assert created.status_code == 201, created.text
    stored = created.json()
    path = f"Patient/{stored['id']}"
    assert await told(software, path) == ["1"]
    await software.put(path, {**stored, "gender": "female"}, **said)
    patched = await software.send(
        "PATCH", path, [{"op": "remove", "path": "/gender"}], said, "application/json-patch+json"
    )
    assert patched.status_code == 200
    await software.send("DELETE", path, None, said)
    await software.send("DELETE", path, None, said)
    assert await told(software, path) == ["1", "2", "3", "4"]


async def test_a_write_that_writes_nothing_has_no_provenance(practice: Practice, software: Caller) -> None:
    """A conditional create that finds its match, a create that was sent twice, a version that was not met."""
    value = unique("v")
    person = patient(identifier=[{"system": "urn:test", "value": value}])
    said, key = header(provenance()), {"Idempotency_Key": unique("k")}
    first = await software.post("Patient", person, **said, **key)
    path = f"Patient/{first.json()['id']}"
    again = await software.post("Patient", person, **said, **key)
    assert again.json()["id"] == first.json()["id"]
    found = await software.post("Patient", person, **said, If_None_Exist=f"identifier=urn:test|{value}")
    assert found.status_code == 200
    late = await software.put(path, first.json(), **said, If_Match='W/"9"')
    assert late.status_code == 412
    assert await told(software, path) == ["1"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "Appointment/$find"), ("POST", "Appointment/$book"), ("POST", "")]
)
async def test_where_it_cannot_be_kept_it_is_refused(software: Caller, method: str, path: str) -> None:
    """Rather than lost without a word; what only reads takes no notice of it."""
    body = {"resourceType": "Bundle", "type": "batch"} if not path else {"resourceType": "Parameters"}
    answer = await software.send(method, path, body, header(provenance()))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "not-supported")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"resourceType":"Patient"}', json.dumps(provenance("Patient/1"))]
)
async def test_a_malformed_header_writes_nothing(software: Caller, text: str) -> None:
    key = unique("urn:x")
    person = patient(identifier=[{"system": "urn:test", "value": key}])
    refused = await software.post("Patient", person, X_Provenance=text)
    assert refused.status_code == 400, refused.text
    assert (await software.get("Patient", identifier=f"urn:test|{key}")).json()["total"] == 0


async def test_it_comes_with_what_it_tells_of(practice: Practice, software: Caller) -> None:
    """Oracle's `_revinclude=Provenance:target`, whatever booking type was searched."""
    appointment_, agenda = await booked(practice)
    camille = await practice.new_patient()
    for path in (appointment_, f"Slot/{agenda.slots[0]}", f"Schedule/{agenda.id}", camille):
        created = (await software.post("Provenance", provenance(f"{path}/_history/1"))).json()
        kind, id_ = path.split("/")
        found = (await software.get(kind, _id=id_, _revinclude="Provenance:target")).json()
        assert [e["search"]["mode"] for e in found["entry"]] == ["match", "include"], found
        assert found["entry"][1]["resource"]["id"] == created["id"]
        back = (await software.get("Provenance", _id=created["id"], _include="Provenance:target")).json()
        assert back["entry"][1]["fullUrl"].endswith(path)


async def test_patients_neither_read_nor_send_any(
    practice: Practice, callers: Callers, software: Caller
) -> None:
    """It is about others' work; nor do they get it as an include or learn of it by a reverse chain."""
    camille = await practice.new_patient()
    await software.post("Provenance", provenance(camille))
    caller = callers.patient(camille)

    def status(answer: httpx.Response) -> int:
        return answer.status_code

    assert status(await caller.get("Provenance")) == 403
    assert status(await caller.post("Provenance", provenance(camille))) == 403
    own = (await caller.get(camille)).json()
    assert status(await caller.put(camille, own, **header(provenance()))) == 403
    assert (await caller.get(camille)).json() == own
    id_ = camille.removeprefix("Patient/")
    found = (await caller.get("Patient", _id=id_, _revinclude="Provenance:target")).json()
    assert len(found["entry"]) == 1
    hidden = await caller.get("Patient", **{"_has:Provenance:target:recorded": "2026-11-16"})
    assert hidden.json()["total"] == 0
    assert status(await callers.nobody().get("Provenance")) == 401
