"""`Patient/$everything` and `$archive`: whatever a person ever sent is given back, to them and to nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from services.booking.tests.api.test_erase import Life
from services.booking.tests.client import Caller, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, unique, utc
from services.booking.tests.issuer import Issuer, running_issuer
from services.booking.tests.practice import Practice

from creneau_booking.app import create_app
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest import bounds
from creneau_shared.fhir.search import page_bytes
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import validate
from creneau_shared.security.principal import Principal
from creneau_shared.security.vouching import HEADER, Vouchers

SECRET = "between booking and notifications"


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest.fixture
async def life(fresh: Practice, issuer: Issuer) -> AsyncIterator[Life]:
    settings = settings_for(str(fresh.settings.database_url), issuer.url)
    settings = settings.model_copy(update={"vouching_secret": SECRET})
    async with serving(create_app(settings, fresh.clock)) as client:
        living = Life(Callers(client, issuer, fresh.clock), fresh)
        await living.live()
        yield living


async def pages(caller: Caller, path: str, **query: str) -> list[Resource]:
    """Every page of a Bundle, the following ones by their links."""
    found = [(await caller.get(path, **query)).json()]
    while True:
        following = [link["url"] for link in found[-1]["link"] if link["relation"] == "next"]
        if not following:
            return found
        found.append((await caller.get(following[0].partition("/fhir/")[2])).json())


def resources(bundles: list[Resource]) -> list[Resource]:
    return [entry["resource"] for bundle in bundles for entry in bundle.get("entry", ())]


def of_type(found: list[Resource], resource_type: str) -> list[Resource]:
    return [resource for resource in found if resource["resourceType"] == resource_type]


async def test_everything_that_was_ever_sent_is_in_the_archive(life: Life) -> None:
    """Registered, renamed twice, booked, moved, reworded, cancelled, with a proxy: each word of it, each version."""
    answer = await life.whole.get(f"Patient/{life.id}/$archive")
    assert answer.status_code == 200, answer.text
    bundle = loads(answer.content)
    assert [i for i in validate(bundle, "Bundle") if i.severity in ("error", "fatal")] == []
    assert bundle["type"] == "collection"
    assert life.canaries.within(answer.content) == life.canaries.planted
    versions = [e["resource"] for e in bundle["entry"] if e["resource"]["id"] == life.id]
    assert [v["meta"]["versionId"] for v in versions if v["resourceType"] == "Patient"] == ["1", "2", "3"]


async def test_everything_as_it_is_now_comes_in_pages_without_a_gap(life: Life) -> None:
    whole = resources(await pages(life.caller, f"Patient/{life.id}/$everything"))
    by_pages = await pages(life.caller, f"Patient/{life.id}/$everything", _count="3")
    assert all(len(page["entry"]) <= 3 for page in by_pages)
    paged = resources(by_pages)
    said = [(r["resourceType"], r["id"]) for r in paged if r["resourceType"] != "AuditEvent"]
    assert said == [(r["resourceType"], r["id"]) for r in whole if r["resourceType"] != "AuditEvent"]
    assert len(set(said)) == len(said)
    kinds = {kind for kind, _ in said}
    assert kinds == {"Patient", "Person", "Appointment", "Provenance"}
    assert len(of_type(whole, "Appointment")) == 3
    assert of_type(whole, "AuditEvent")
    for bundle in by_pages:
        assert [i for i in validate(bundle, "Bundle") if i.severity in ("error", "fatal")] == []


@pytest.mark.parametrize("operation", ["_history", "$everything"])
async def test_a_page_ends_when_it_is_full(
    life: Life, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions are as large as their writer makes them: a page has as many as it has room for."""
    path, query = f"Patient/{life.id}/{operation}", {"_count": "1000"}
    if operation == "$everything":
        query |= {"versions": "true", "_type": "Patient,Appointment"}
    [whole] = await pages(life.caller, path, **query)
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", 1)
    one_by_one = await pages(life.caller, path, **query)
    assert resources(one_by_one) == resources([whole])
    assert [len(page["entry"]) for page in one_by_one] == [1] * len(whole["entry"])
    assert len(one_by_one) > 2
    if operation == "_history":
        previous = [link["url"] for link in one_by_one[-1]["link"] if link["relation"] == "previous"]
        back = (await life.caller.get(previous[0].partition("/fhir/")[2])).json()
        assert resources([back]) == resources([one_by_one[-2]])


async def test_a_record_that_is_too_large_for_an_archive_comes_by_pages(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", 1_000)
    assert (await life.caller.get(f"Patient/{life.id}/$archive")).status_code == 200
    monkeypatch.setattr(bounds, "ARCHIVE_BYTES_MAX", 1_500)
    refused = await life.caller.get(f"Patient/{life.id}/$archive")
    assert (refused.status_code, code(refused)) == (413, "archive-too-large")
    assert await pages(life.caller, f"Patient/{life.id}/$everything", versions="true")


async def test_what_is_asked_for_is_what_is_given(life: Life) -> None:
    path = f"Patient/{life.id}/$everything"
    only = resources(await pages(life.caller, path, _type="Patient,Appointment"))
    assert {r["resourceType"] for r in only} == {"Patient", "Appointment"}
    later = life.practice.clock.now().date().isoformat()
    assert of_type(resources(await pages(life.caller, path, end=later)), "Appointment") == []
    ahead = "2026-12-31"
    assert len(of_type(resources(await pages(life.caller, path, start=later, end=ahead)), "Appointment")) == 3
    in_december = resources(await pages(life.caller, path, start=later, end="2026-12"))
    assert len(of_type(in_december, "Appointment")) == 3
    since = utc(life.practice.clock.now().replace(year=2027))
    assert of_type(resources(await pages(life.caller, path, _since=since)), "Patient") == []
    posted = await life.caller.post(
        path, {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Patient"}]}
    )
    assert [e["resource"]["id"] for e in posted.json()["entry"]] == [life.id]


@pytest.mark.parametrize(
    "query",
    [
        {"_type": "Slot"},
        {"start": "hier"},
        {"start": "2026-12-01 et la suite"},
        {"_since": "2026"},
        {"_cursor": "x"},
        {"_count": "-1"},
        {"versions": "perhaps"},
        {"versions": "oui"},
    ],
)
async def test_what_cannot_be_understood_is_said(life: Life, query: dict[str, Any]) -> None:
    answer = await life.caller.get(f"Patient/{life.id}/$everything", **query)
    assert answer.status_code == 400, answer.text


async def test_messages_are_of_the_record_though_others_keep_them(life: Life) -> None:
    """Who asks for them alone gets nothing from here, and booking's word for who has them; a wrong type is told of them."""
    path = f"Patient/{life.id}/$everything"
    answer = await life.whole.get(path, _type="Communication")
    assert answer.status_code == 200, answer.text
    assert "entry" not in answer.json()
    assert "_type=Communication" in answer.json()["link"][0]["url"]
    assert answer.headers[HEADER]
    both = (await life.whole.get(path, _type="Communication,Patient")).json()
    assert [entry["resource"]["id"] for entry in both["entry"]] == [life.id]
    refused = await life.whole.get(path, _type="Slot")
    assert "Communication" in refused.json()["issue"][0]["details"]["text"]


async def test_what_is_not_known_is_left_out_and_said_or_refused(life: Life) -> None:
    path = f"Patient/{life.id}/$everything"
    found = (await life.caller.get(path, colour="red", _count="500")).json()
    outcome = found["entry"][-1]
    assert outcome["search"] == {"mode": "outcome"}
    assert outcome["resource"]["issue"][0]["details"]["coding"][0]["code"] == "ignored"
    assert all("colour" not in link["url"] for link in found["link"])
    asked = {"resourceType": "Parameters", "parameter": [{"name": "colour", "valueString": "red"}]}
    strict = await life.caller.post(path, asked, Prefer="handling=strict")
    assert (strict.status_code, strict.json()["issue"][0]["expression"]) == (400, ["http.colour"])


@pytest.mark.parametrize("operation", ["$everything", "$archive"])
async def test_nobody_else_gets_it(life: Life, operation: str) -> None:
    path = f"Patient/{life.id}/{operation}"
    stranger = life.callers.patient(await life.practice.new_patient())
    assert (await stranger.get(path)).status_code == 404
    unknown = await stranger.get(f"Patient/nobody-at-all/{operation}")
    assert unknown.status_code == 404
    practice = life.secretary()
    refused = await practice.get(path)
    assert (refused.status_code, code(refused)) == (403, "person-only")
    assert (await life.callers.nobody().get(path)).status_code == 401
    assert (await life.callers.software().get(path)).status_code == 200


async def test_another_s_versions_and_answers_are_not_the_person_s(life: Life) -> None:
    """An appointment that was somebody else's first: their time with it is not in the record."""
    software = life.callers.software()
    other = life.canaries
    before = set(other.planted)
    secret = other.plant("otherspatient")
    agenda = await life.practice.open_agenda(1)
    wrong = appointment(
        "booked",
        slots=agenda.slots,
        patient=(await life.practice.new_patient()),
        actors=[agenda.practitioner],
        start=agenda.at(0),
        comment=secret,
    )
    made = (await software.post("Appointment", wrong)).json()
    right = {**made, "comment": "corrigé"}
    right["participant"][0]["actor"] = {"reference": f"Patient/{life.id}"}
    assert (await software.put(f"Appointment/{made['id']}", right)).status_code == 200
    answer = await life.whole.get(f"Patient/{life.id}/$archive")
    assert other.within(answer.content) == before
    assert "corrigé" in answer.text


async def test_who_changed_another_s_part_of_a_visit_is_not_the_person_s_to_know(life: Life) -> None:
    """Who asked for it when it was somebody else's, or has it since it is no longer the person's: that names them."""
    software, agenda = life.callers.software(), await life.practice.open_agenda(1)
    other = await life.practice.new_patient()
    wrong = appointment(
        "booked", slots=agenda.slots, patient=other, actors=[agenda.practitioner], start=agenda.at(0)
    )
    made = (await software.post("Appointment", wrong)).json()
    right = {**made}
    right["participant"][0]["actor"] = {"reference": f"Patient/{life.id}"}
    assert (await software.put(f"Appointment/{made['id']}", right)).status_code == 200
    said = {}
    for name, who in (("theirs", other), ("own", f"Patient/{life.id}"), ("staff", agenda.practitioner)):
        provenance = {
            "resourceType": "Provenance",
            "target": [{"reference": f"Appointment/{made['id']}"}],
            "recorded": utc(life.practice.clock.now()),
            "agent": [{"who": {"reference": who, "display": name}}],
        }
        created = await software.post("Provenance", provenance)
        assert created.status_code == 201, created.text
        said[name] = created.json()["id"]
    relative = await life.practice.put(
        {"resourceType": "RelatedPerson", "id": unique("proche"), "patient": {"reference": other}}
    )
    answer = await life.practice.put(
        {
            "resourceType": "AppointmentResponse",
            "id": unique("reponse"),
            "appointment": {"reference": f"Appointment/{made['id']}"},
            "actor": {"reference": relative},
            "participantStatus": "accepted",
        }
    )
    said["theirs too"] = answer.partition("/")[2]
    for operation in ("$everything", "$archive"):
        bundle = (await life.whole.get(f"Patient/{life.id}/{operation}")).json()
        assert "link" not in bundle or all(link["relation"] != "next" for link in bundle["link"])
        found = {r["id"] for r in resources([bundle])}
        assert {name for name, id_ in said.items() if id_ in found} == {"own", "staff"}, operation


async def test_looking_at_it_leaves_a_trace_and_the_next_archive_shows_it(life: Life) -> None:
    await life.callers.software().get(f"Patient/{life.id}")
    trail = of_type(
        resources(await pages(life.caller, f"Patient/{life.id}/$everything", _type="AuditEvent")),
        "AuditEvent",
    )
    who = {event["agent"][0]["role"][0]["coding"][0]["code"] for event in trail}
    assert {"system", "patient"} <= who


async def test_types_that_the_token_may_not_read_stay_out(life: Life) -> None:
    """A scope for the Patient alone gives no appointments by way of an operation."""
    answer = await life.caller.get(f"Patient/{life.id}/$everything")
    found = {e["resource"]["resourceType"] for e in answer.json()["entry"]}
    assert "RelatedPerson" not in found  # the scopes of `patient` in these tests
    assert "_type=Patient,Person,Appointment,Provenance,AuditEvent" in answer.json()["link"][0]["url"]


async def test_booking_vouches_for_the_caller_and_for_nobody_else(life: Life) -> None:
    answer = await life.caller.get(f"Patient/{life.id}/$archive")
    now = life.practice.clock.now()
    vouchers = Vouchers(SECRET)
    subject = await life.practice.database.pool.fetchrow("SELECT issuer, subject FROM patient_account")
    assert subject is not None
    principal = Principal(subject["issuer"], subject["subject"])
    text = answer.headers[HEADER]
    assert vouchers.holds(text, principal, life.id, now)
    assert not vouchers.holds(text, Principal(subject["issuer"], "somebody"), life.id, now)
    assert not vouchers.holds(text, principal, "another-patient", now)
    assert not vouchers.holds(text, principal, life.id, now.replace(year=2027))
    assert not Vouchers("").holds(text, principal, life.id, now)
    assert not Vouchers("").holds("9999999999.", principal, life.id, now)
    assert Vouchers("").write(principal, life.id, now) is None


async def test_an_erased_person_s_archive_is_gone(life: Life) -> None:
    await life.erase()
    software = life.callers.software()
    assert (await software.get(f"Patient/{life.id}/$archive")).status_code == 410
