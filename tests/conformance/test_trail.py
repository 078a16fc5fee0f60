"""Who saw my record: each interaction that touched personal data leaves one AuditEvent, which says whose data it was, what
was asked, why, and how it ended; never what the data is."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from deploy.local.tokens import Holder

from tests.conformance.builders import (
    created,
    issue,
    link,
    organization,
    patient,
    practitioner,
    resources,
    unique,
)
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


# -- whose trail it is ---------------------------------------------------------------------------------------


class Practice:
    """A practice of one practitioner, known to all services."""

    def __init__(self, stack: Stack, system: httpx.Client) -> None:
        self.name = f"Cabinet {unique()}"
        place = created(system, organization(name=self.name))
        who = created(
            system, practitioner(name=[{"prefix": ["Dr"], "given": ["Océane"], "family": unique()}])
        )
        stack.replicate(place, who)
        self.id, self.practitioner = place["id"], who["id"]
        self.doctor = f"Dr Océane {who['name'][0]['family']}"
        self._stack = stack

    def client(self) -> httpx.Client:
        return client_of(
            self._stack,
            Holder("practitioner", unique(), organizations=(self.id,), practitioner=self.practitioner),
        )


def client_of(stack: Stack, holder: Holder) -> httpx.Client:
    headers = {"Authorization": f"Bearer {stack.issuer.token_of(holder)}"}
    return httpx.Client(base_url=stack.fhir, headers=headers, timeout=30)


@pytest.fixture
def practice(stack: Stack, system: httpx.Client) -> Practice:
    return Practice(stack, system)


def person(stack: Stack, reference: str) -> httpx.Client:
    return client_of(stack, Holder("patient", unique(), patient=reference.partition("/")[2]))


def test_a_patient_reads_who_saw_their_record_by_name(stack: Stack, practice: Practice) -> None:
    with practice.client() as doctor:
        camille = f"Patient/{created(doctor, patient())['id']}"
        doctor.get(f"/{camille}")
        doctor.post("/Patient/_search", data={"_id": camille[8:]})
    with person(stack, camille) as mine:
        found = resources(mine.get("/AuditEvent", params={"patient": camille}))
    assert [event["subtype"][0]["code"] for event in found] == ["search-type", "read", "create"]
    for event in found:
        asker, place = event["agent"]
        assert (asker["name"], asker["requestor"]) == (practice.doctor, True)
        assert asker["who"]["reference"] == f"Practitioner/{practice.practitioner}"
        assert asker["who"]["display"] == practice.doctor
        assert asker["role"][0]["coding"][0]["code"] == "practitioner"
        assert (place["who"]["reference"], place["name"]) == (f"Organization/{practice.id}", practice.name)
        assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
        assert event["outcome"] == "0"


def test_their_own_reading_is_in_it_under_their_own_name(stack: Stack, system: httpx.Client) -> None:
    camille = f"Patient/{created(system, patient())['id']}"
    with person(stack, camille) as mine:
        mine.get(f"/{camille}")
        latest = resources(mine.get("/AuditEvent"))[0]
        assert mine.get(f"/AuditEvent/{latest['id']}").json() == latest
    assert latest["agent"][0]["who"]["reference"] == camille
    assert latest["agent"][0]["name"] == "Camille Fictive"
    assert latest["purposeOfEvent"][0]["coding"][0]["code"] == "PATRQT"


def test_a_search_for_appointments_for_somebody_is_in_it(stack: Stack, system: httpx.Client) -> None:
    """`$find` for a named patient looks at their age and appointments."""
    camille, other = (f"Patient/{created(system, patient())['id']}" for _ in range(2))
    window = {"start": "2030-01-01", "end": "2030-01-08"}
    with person(stack, camille) as mine:
        for named in (camille, other):
            assert (
                mine.get("/Appointment/$find", params={**window, "patient-reference": named}).status_code
                == 200
            )
        (event,) = resources(mine.get("/AuditEvent", params={"subtype": "operation"}))
    assert (event["action"], patients(event)) == ("E", {camille})
    assert asked(event).startswith("GET Appointment/$find?")
    assert events(system, patient=other, subtype="operation") == [], "nothing of theirs was looked at"


def test_two_people_in_one_search_learn_nothing_of_each_other(stack: Stack, practice: Practice) -> None:
    family = f"Fictive{unique()}"
    with practice.client() as doctor:
        one, two = (
            f"Patient/{created(doctor, {**patient(), 'name': [{'family': family}]})['id']}" for _ in range(2)
        )
        doctor.post("/Patient/_search", data={"family": family})
        (whole,) = resources(doctor.get("/AuditEvent", params={"subtype": "search-type", "patient": one}))
    assert patients(whole) == {one, two}, "who searched sees what the search was"
    for mine, other in ((one, two), (two, one)):
        with person(stack, mine) as me:
            trail = me.get("/AuditEvent", params={"patient": mine})
            (event,) = [e for e in resources(trail) if e["subtype"][0]["code"] == "search-type"]
            assert patients(event) == {mine}
            assert other not in trail.text
            assert other not in me.get(f"/AuditEvent/{event['id']}").text
            for query in (
                {"patient": other},
                {"entity": other},
                {"patient": f"{mine},{other}"},
                {"patient:Patient._id": other[8:]},
                {"_filter": f"entity re {other}"},
                {"_filter": f"not (entity re {other})"},
                {"patient:missing": "false"},
                {"entity:missing": "true"},
                {"altid": "doctor"},
                {"agent:identifier": "doctor"},
            ):
                assert me.get("/AuditEvent", params=query).status_code == 403, query
            assert resources(me.get("/Patient", params={"_has:AuditEvent:patient:entity": other})) == []
            included = me.get("/Patient", params={"_id": mine[8:], "_revinclude": "AuditEvent:patient"})
            assert [r["resourceType"] for r in resources(included)] == ["Patient"]


def test_a_practice_sees_what_was_done_for_it_and_nothing_else(
    stack: Stack, system: httpx.Client, practice: Practice
) -> None:
    with practice.client() as doctor:
        camille = f"Patient/{created(doctor, patient())['id']}"
        system.get(f"/{camille}")
        found = resources(doctor.get("/AuditEvent", params={"patient": camille}))
        assert [event["subtype"][0]["code"] for event in found] == ["create"]
        assert len(resources(system.get("/AuditEvent", params={"patient": camille}))) == 2


def test_a_stranger_s_attempt_is_told_to_the_patient_and_tells_the_stranger_nothing(
    stack: Stack, system: httpx.Client, practice: Practice
) -> None:
    camille = f"Patient/{created(system, patient())['id']}"
    stranger = f"Patient/{created(system, patient())['id']}"
    nobody = f"Patient/{unique()}"
    for prying in (practice.client(), person(stack, stranger)):
        with prying:
            for reference in (camille, nobody):
                assert prying.get(f"/{reference}").status_code == 404
                told = prying.get("/AuditEvent", params={"_count": "50"}).text
                assert reference not in told, "nothing that differs by whether it exists"
    with practice.client() as neighbour:
        for reference in (camille, nobody):
            assert resources(neighbour.get("/AuditEvent", params={"patient": reference})) == []
    with person(stack, camille) as mine:
        by_stranger, by_practice = resources(mine.get("/AuditEvent", params={"outcome": "4"}))
    assert by_practice["agent"][0]["name"] == practice.doctor
    assert by_practice["agent"][1]["name"] == practice.name
    (prying,) = by_stranger["agent"]
    assert prying["who"]["reference"] == stranger, "alone: they act on nobody's behalf"
    assert "identifier" not in by_stranger["agent"][0]["who"], "the name, not the account"


def test_messages_are_in_the_same_trail(stack: Stack, system: httpx.Client) -> None:
    """Three services, one trail; each page of it as the person may see it."""
    camille = f"Patient/{created(system, patient())['id']}"
    with person(stack, camille) as mine:
        mine.get("/Communication", params={"subject": camille})
        mine.get("/Appointment")
        mine.get(f"/{camille}")
        first = mine.get("/AuditEvent", params={"_count": "1"})
        assert len(resources(first)) == 1
        assert link(first, "next")
        sources = {event["source"]["observer"]["display"] for event in resources(mine.get("/AuditEvent"))}
    assert "creneau-booking" in sources


def test_a_counsellor_s_act_says_for_whom(stack: Stack, system: httpx.Client) -> None:
    camille = f"Patient/{created(system, patient())['id']}"
    with client_of(stack, Holder("counsellor", unique(), acting_for=camille)) as counsellor:
        assert counsellor.get(f"/{camille}").status_code == 200
    with person(stack, camille) as mine:
        latest = resources(mine.get("/AuditEvent"))[0]
    assert [agent["role"][0]["coding"][0]["code"] for agent in latest["agent"]] == [
        "counsellor",
        "represented",
    ]
    assert latest["agent"][1]["who"]["reference"] == camille
    details = {detail["type"]: detail["valueString"] for detail in latest["entity"][0]["detail"]}
    assert details["mandate"] == "présence de la personne"
