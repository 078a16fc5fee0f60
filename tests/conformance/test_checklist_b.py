"""Scheduling (docs/checklists.md), B: search (20 to 35), over HTTP through the gateway of the running system."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.conformance.builders import (
    SYSTEM,
    Agenda,
    Resource,
    appointment,
    created,
    ids,
    instant,
    issue,
    link,
    location,
    organization,
    patient,
    practitioner,
    resources,
    schedule,
    slot,
    unique,
)
from tests.fixtures.stack import Stack

PARIS = ZoneInfo("Europe/Paris")

STANDARD = {
    "Appointment": "actor appointment-type based-on date identifier location part-status patient practitioner"
    " reason-code reason-reference service-category service-type slot specialty status supporting-info",
    "Slot": "appointment-type identifier schedule service-category service-type specialty start status",
    "Schedule": "active actor date identifier service-category service-type specialty",
    "AppointmentResponse": "actor appointment identifier location part-status patient practitioner",
    "Organization": "active address address-city address-country address-postalcode address-state address-use"
    " endpoint identifier name partof phonetic type",
    "Location": "address address-city address-country address-postalcode address-state address-use endpoint"
    " identifier name near operational-status organization partof status type",
    "HealthcareService": "active characteristic coverage-area endpoint identifier location name organization"
    " program service-category service-type specialty",
    "Practitioner": "active address address-city address-country address-postalcode address-state address-use"
    " communication email family gender given identifier name phone phonetic telecom",
    "PractitionerRole": "active date email endpoint identifier location organization phone practitioner role"
    " service specialty telecom",
    "Endpoint": "connection-type identifier name organization payload-type status",
}
COMMON = "_id _lastUpdated _tag _profile _security _source _text _content _filter"


def found(client: httpx.Client, kind: str, **parameters: Any) -> list[str]:
    named = {name.replace("__", ":"): value for name, value in parameters.items()}
    return ids(client.get(f"/{kind}", params=named))


def coding(code: str, system: str = SYSTEM) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


# -- 20 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(STANDARD))
def test_item_20_every_standard_parameter_is_declared_and_answers(system: httpx.Client, kind: str) -> None:
    rest = system.get("/metadata").json()["rest"][0]
    declared = {
        parameter["name"]: parameter
        for resource in rest["resource"]
        if resource["type"] == kind
        for parameter in resource["searchParam"]
    }
    assert set((STANDARD[kind] + " " + COMMON).split()) <= set(declared)
    samples = {"date": "2030-01-01", "number": "1", "quantity": "1", "special": "47.2|-1.5|1|km"}
    for name, parameter in declared.items():
        by_name = {"_filter": "_id eq x", "bookable": "true", "near-insee-code": "35238|10|km"}
        value = by_name.get(name) or samples.get(parameter["type"], "valeur")
        answer = system.get(
            f"/{kind}", params={name: value, "_count": 1}, headers={"Prefer": "handling=strict"}
        )
        assert answer.status_code == 200, (name, answer.text)


def test_item_20_each_parameter_has_its_definition(system: httpx.Client) -> None:
    for kind in STANDARD:
        answer = system.get("/SearchParameter", params={"base": kind, "_count": 200})
        assert {r["code"] for r in resources(answer)} >= set(STANDARD[kind].split())


# -- 21 ---------------------------------------------------------------------------------------------------------


def test_item_21_prefixes(agenda: Agenda, system: httpx.Client) -> None:
    first, second, third = (agenda.slot(number) for number in range(3))
    middle = second["start"]
    for prefix, expected in (
        ("", [second]),
        ("eq", [second]),
        ("ne", [first, third]),
        ("gt", [third]),
        ("lt", [first]),
        ("ge", [second, third]),
        ("le", [first, second]),
        ("sa", [third]),
        ("eb", [first]),
    ):
        got = found(system, "Slot", schedule=agenda.id, start=f"{prefix}{middle}")
        assert got == [s["id"] for s in expected], prefix
    for bad in ("xx2026", "2026-13", "hier", "2026-02-30", "eq"):
        answer = system.get("/Slot", params={"start": bad})
        assert (answer.status_code, issue(answer)["severity"]) == (400, "error"), bad


def test_item_21_partial_dates_are_days_in_paris(system: httpx.Client) -> None:
    """A day without a zone is a day of Europe/Paris, also the 23 hours of the day that summer begins."""
    agenda = Agenda.create(system)
    year = datetime.now(UTC).year + 1
    march = [datetime(year, 3, day, tzinfo=UTC) for day in range(25, 32)]
    change = next(day for day in march if day.weekday() == 6).date()
    midnight = datetime(change.year, change.month, change.day, tzinfo=PARIS)
    after = midnight + timedelta(days=1)
    made = [
        created(system, slot(agenda.id, moment))["id"]
        for moment in (
            midnight - timedelta(minutes=20),
            midnight,
            after.astimezone(UTC) - timedelta(minutes=20),
            after.astimezone(UTC),
        )
    ]
    assert after.astimezone(UTC) - midnight.astimezone(UTC) == timedelta(hours=23)
    assert found(system, "Slot", schedule=agenda.id, start=change.isoformat()) == made[1:3]
    assert found(system, "Slot", schedule=agenda.id, start=f"sa{change}") == made[3:]
    assert found(system, "Slot", schedule=agenda.id, start=f"eb{change}") == made[:1]
    assert set(made) == set(found(system, "Slot", schedule=agenda.id, start=f"{year}"))


def test_item_21_raw_plus_in_an_offset(agenda: Agenda, system: httpx.Client) -> None:
    stored = agenda.slot()
    local = datetime.fromisoformat(stored["start"]).astimezone(ZoneInfo("Europe/Athens")).isoformat()
    assert "+" in local
    for spelling in (local, local.replace("+", "%2B")):
        assert ids(system.get(f"/Slot?schedule={agenda.id}&start={spelling}")) == [stored["id"]], spelling
        history = system.get(f"/Slot/{stored['id']}/_history?_since={spelling}")
        assert history.status_code == 200


# -- 22 ---------------------------------------------------------------------------------------------------------


def test_item_22_string_modifiers(system: httpx.Client) -> None:
    tag = unique()
    name = f"Éléonore{tag}"
    stored = created(system, practitioner(name=[{"family": name}]))["id"]
    for parameter, value, matches in (
        ("family", f"eleonore{tag}", True),
        ("family", f"ÉLÉONORE{tag.upper()}", True),
        ("family", "eleonore" + tag[:20], True),
        ("family:exact", name, True),
        ("family:exact", name.lower(), False),
        ("family:contains", tag[3:20], True),
        ("family", tag[3:20], False),
        ("family:missing", "false", None),
    ):
        got = ids(system.get("/Practitioner", params={parameter: value, "identifier": f"{SYSTEM}|"}))
        assert matches is None or (stored in got) is matches, (parameter, value)


def test_item_22_token_modifiers(system: httpx.Client) -> None:
    code, other = unique(), unique()
    one = created(system, organization(type=[coding(code)]))["id"]
    two = created(system, organization(type=[{**coding(other), "text": f"Texte {other}"}]))["id"]
    none = created(system, organization())["id"]
    assert found(system, "Organization", type=code) == [one]
    assert found(system, "Organization", type=f"{SYSTEM}|{code}") == [one]
    assert found(system, "Organization", type=f"|{code}") == []
    assert found(system, "Organization", type=f"{code},{other}") == [one, two]
    mine = f"{one},{two},{none}"
    assert found(system, "Organization", _id=mine, type__not=code) == [two, none]
    assert found(system, "Organization", _id=mine, type__missing="true") == [none]
    assert found(system, "Organization", _id=mine, type__missing="false") == [one, two]
    assert found(system, "Organization", type__text=f"texte {other}") == [two]
    assert system.get("/Organization", params={"type:nonsense": "x"}).status_code == 400


def test_item_22_identifier_of_type_and_reference_modifiers(system: httpx.Client) -> None:
    value = unique()
    typed = {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
        "system": SYSTEM,
        "value": value,
    }
    parent = created(system, organization())["id"]
    child = created(system, organization(identifier=[typed], partOf={"reference": f"Organization/{parent}"}))
    v2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
    of_type = system.get("/Organization", params={"identifier:of-type": f"{v2}|MR|{value}"})
    assert ids(of_type) == [child["id"]]
    for spelling in (parent, f"Organization/{parent}", f"{system.base_url}Organization/{parent}"):
        assert found(system, "Organization", partof=spelling) == [child["id"]], spelling
    assert found(system, "Organization", partof__Organization=parent) == [child["id"]]
    logical = created(system, organization(partOf={"identifier": {"system": SYSTEM, "value": value}}))
    assert found(system, "Organization", partof__identifier=f"{SYSTEM}|{value}") == [logical["id"]]


def test_item_22_uri_above_and_below(system: httpx.Client) -> None:
    root = f"https://example.org/{unique()}"
    stored = created(system, organization(meta={"profile": [f"{root}/a/b"]}))["id"]
    assert found(system, "Organization", _profile=f"{root}/a/b") == [stored]
    assert found(system, "Organization", _profile=f"{root}/a") == []
    assert found(system, "Organization", _profile__below=f"{root}/a") == [stored]
    assert found(system, "Organization", _profile__above=f"{root}/a/b/c") == [stored]


# -- 23 and 24 --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph(system: httpx.Client, stack: Stack) -> dict[str, Resource]:
    """A professional, who works in a service at a place, with an agenda, a free slot and a booked one."""
    code = unique()
    place = created(system, location(name=f"Lieu {code}"))
    who = created(system, practitioner(name=[{"family": f"Nom{code}"}]))
    service = created(
        system,
        {
            "resourceType": "HealthcareService",
            "name": f"Service {code}",
            "type": [coding(code)],
            "location": [{"reference": f"Location/{place['id']}"}],
        },
    )
    role = created(
        system,
        {
            "resourceType": "PractitionerRole",
            "practitioner": {"reference": f"Practitioner/{who['id']}"},
            "location": [{"reference": f"Location/{place['id']}"}],
            "healthcareService": [{"reference": f"HealthcareService/{service['id']}"}],
            "specialty": [coding(code)],
        },
    )
    stack.replicate(place, who, service, role)
    actors = [f"Practitioner/{who['id']}", f"HealthcareService/{service['id']}", f"Location/{place['id']}"]
    agenda = created(
        system,
        schedule(actors[0]) | {"actor": [{"reference": a} for a in actors], "serviceType": [coding(code)]},
    )
    day = Agenda.create(system).day
    free, taken = (
        created(system, slot(agenda["id"], day + timedelta(minutes=20 * number))) for number in range(2)
    )
    person = created(system, patient(code))
    visit = created(system, appointment(person["id"], taken))
    return {
        "place": place,
        "who": who,
        "service": service,
        "role": role,
        "agenda": agenda,
        "free": free,
        "taken": taken,
        "person": person,
        "visit": visit,
        "code": {"resourceType": "Basic", "id": code},
    }


def test_item_23_chains(system: httpx.Client, graph: dict[str, Resource]) -> None:
    code = graph["code"]["id"]
    slots = [graph["free"]["id"], graph["taken"]["id"]]
    for kind, parameter, value, expected in (
        ("Slot", "schedule.actor:HealthcareService.type", code, slots),
        ("Slot", "schedule.actor:Practitioner.family", f"nom{code}", slots),
        ("Slot", "schedule.actor", f"Practitioner/{graph['who']['id']}", slots),
        ("Slot", "schedule.actor:Location.name", f"lieu {code}", slots),
        ("Slot", "schedule.service-type", f"{SYSTEM}|{code}", slots),
        ("Appointment", "patient.identifier", f"{SYSTEM}|{code}", [graph["visit"]["id"]]),
        ("Appointment", "slot.schedule.actor:Practitioner.family", f"nom{code}", [graph["visit"]["id"]]),
        ("PractitionerRole", "practitioner.family", f"nom{code}", [graph["role"]["id"]]),
        ("PractitionerRole", "location.name", f"lieu {code}", [graph["role"]["id"]]),
        ("Slot", "schedule.actor:Practitioner.identifier", f"{SYSTEM}|{unique()}", []),
    ):
        assert sorted(found(system, kind, **{parameter: value})) == sorted(expected), parameter


def test_item_23_reverse_chains(system: httpx.Client, graph: dict[str, Resource]) -> None:
    code = graph["code"]["id"]
    for kind, parameter, value, expected in (
        ("Practitioner", "_has:PractitionerRole:practitioner:specialty", code, [graph["who"]["id"]]),
        ("Schedule", "_has:Slot:schedule:status", "busy", None),
        ("Patient", "_has:Appointment:patient:status", "booked", None),
        ("Location", "_has:HealthcareService:location:service-type", code, [graph["place"]["id"]]),
        (
            "Location",
            "_has:PractitionerRole:location:practitioner.family",
            f"nom{code}",
            [graph["place"]["id"]],
        ),
    ):
        got = found(system, kind, **{parameter: value, "_count": 1000})
        wanted = expected or [graph["agenda" if kind == "Schedule" else "person"]["id"]]
        assert (got == wanted) if expected else set(wanted) <= set(got), parameter


def test_item_23_what_is_not_held_is_reported_never_silently_empty(system: httpx.Client) -> None:
    answer = system.get("/Practitioner", params={"_has:Schedule:actor:service-type": "x"})
    assert (answer.status_code, issue(answer)["code"]) == (400, "not-supported")
    assert "Schedule" in issue(answer)["details"]["text"]
    for nonsense in ("schedule.nonsense", "schedule.actor:Nothing.name", "_has:Slot:nonsense:status"):
        strict = system.get("/Slot", params={nonsense: "x"}, headers={"Prefer": "handling=strict"})
        assert strict.status_code == 400, nonsense


def test_item_24_includes(system: httpx.Client, graph: dict[str, Resource]) -> None:
    own = {"schedule": graph["agenda"]["id"], "status": "free"}

    def included(**more: Any) -> set[str]:
        named = {name.replace("__", ":"): value for name, value in more.items()}
        answer = system.get("/Slot", params={**own, **named})
        assert ids(answer) == [graph["free"]["id"]]
        return {f"{r['resourceType']}" for r in resources(answer, "include")}

    assert included(_include="Slot:schedule") == {"Schedule"}
    everyone = {"Schedule", "Practitioner", "HealthcareService", "Location"}
    both = {"_include": "Slot:schedule", "_include:iterate": "Schedule:actor"}
    assert included(**both) == everyone
    assert included(**{**both, "_include:iterate": "Schedule:actor:Practitioner"}) == {
        "Schedule",
        "Practitioner",
    }
    assert included(**{**both, "_include:iterate": "Schedule:actor:*"}) == everyone
    assert included(_include="Slot:*") == {"Schedule"}
    assert included(_include="*") == {"Schedule"}
    reverse = system.get("/Schedule", params={"_id": graph["agenda"]["id"], "_revinclude": "Slot:schedule"})
    assert {r["id"] for r in resources(reverse, "include")} == {graph["free"]["id"], graph["taken"]["id"]}
    assert reverse.json()["total"] == 1, "total counts matches only"
    directory = system.get(
        "/PractitionerRole",
        params={
            "specialty": graph["code"]["id"],
            "_include": ["PractitionerRole:practitioner", "PractitionerRole:location"],
        },
    )
    assert {r["id"] for r in resources(directory, "include")} == {graph["who"]["id"], graph["place"]["id"]}


def test_item_24_an_include_that_cannot_be_followed_is_reported(system: httpx.Client) -> None:
    for wrong in ("Slot:nonsense", "Nothing:schedule", "Practitioner:actor"):
        lenient = system.get("/Slot", params={"_include": wrong, "_count": 1})
        strict = system.get("/Slot", params={"_include": wrong}, headers={"Prefer": "handling=strict"})
        assert strict.status_code == 400, wrong
        assert lenient.status_code == 400 or resources(lenient, "outcome"), wrong
    elsewhere = system.get("/Practitioner", params={"_revinclude": "Schedule:actor", "_count": 1})
    assert elsewhere.status_code == 400 or resources(elsewhere, "outcome")


# -- 25 ---------------------------------------------------------------------------------------------------------


def test_item_25_summary_and_elements(system: httpx.Client) -> None:
    stored = created(system, organization(active=False, alias=["Autre"]))
    search = {"_id": stored["id"]}
    summary = resources(system.get("/Organization", params={**search, "_summary": "true"}))[0]
    assert "alias" not in summary
    assert summary["active"] is False, "a modifier is never dropped"
    elements = resources(system.get("/Organization", params={**search, "_elements": "alias"}))[0]
    assert (elements["alias"], elements["active"]) == (["Autre"], False)
    assert "name" not in elements
    read = system.get(f"/Organization/{stored['id']}", params={"_elements": "alias"}).json()
    for part in (summary, elements, read):
        assert [tag["code"] for tag in part["meta"]["tag"]] == ["SUBSETTED"]
    counted = system.get("/Organization", params={**search, "_summary": "count"}).json()
    assert (counted["total"], "entry" in counted) == (1, False)
    assert system.get("/Organization", params={**search, "_summary": "nonsense"}).status_code == 400
    assert system.get(f"/Organization/{stored['id']}?_summary=nonsense").status_code == 400


def test_item_25_sort_total_and_count(agenda: Agenda, system: httpx.Client) -> None:
    made = [agenda.slot(number)["id"] for number in range(5)]
    own = {"schedule": agenda.id}
    assert found(system, "Slot", **own, _sort="-start") == made[::-1]
    assert found(system, "Slot", **own, _sort="status,-start") == made[::-1]
    first = system.get("/Slot", params={**own, "_count": 2})
    assert (ids(first), first.json()["total"]) == (made[:2], 5)
    none = system.get("/Slot", params={**own, "_total": "none"})
    assert "total" not in none.json()
    accurate = system.get("/Slot", params={**own, "_total": "accurate", "_count": 1})
    assert accurate.json()["total"] == 5
    zero = system.get("/Slot", params={**own, "_count": 0}).json()
    assert (zero["total"], "entry" in zero) == (5, False)
    for wrong in ({"_count": "-1"}, {"_count": "deux"}, {"_sort": "nonsense"}, {"_total": "nonsense"}):
        strict = system.get("/Slot", params={**own, **wrong}, headers={"Prefer": "handling=strict"})
        assert strict.status_code == 400, wrong


# -- 26 ---------------------------------------------------------------------------------------------------------


def test_item_26_paging_is_stable_under_writes(agenda: Agenda, system: httpx.Client) -> None:
    """What stands before the page is deleted, what stands after it is added to: nothing is seen twice or lost."""
    made = [agenda.slot(number * 2)["id"] for number in range(6)]
    page = system.get("/Slot", params={"schedule": agenda.id, "_count": 2, "status": "free"})
    assert ids(page) == made[:2]
    assert system.delete(f"/Slot/{made[0]}").status_code == 204
    agenda.slot(1)
    page = system.get(link(page, "next") or "")
    assert ids(page) == made[2:4]
    later = agenda.slot(9)["id"]
    page = system.get(link(page, "next") or "")
    assert ids(page) == [made[4], later]
    back = system.get(link(page, "previous") or "")
    assert ids(back) == made[2:4]
    assert f"schedule={agenda.id}" in (link(page, "self") or "")
    last = system.get(link(page, "next") or "")
    assert (ids(last), link(last, "next")) == ([made[5]], None)


def test_item_26_a_cursor_is_good_for_its_own_search_only(agenda: Agenda, system: httpx.Client) -> None:
    for number in range(2):
        agenda.slot(number)
    page = system.get("/Slot", params={"schedule": agenda.id, "_count": 1})
    cursor = httpx.URL(link(page, "next") or "").params["_cursor"]
    for parameters in (
        {"status": "free", "_cursor": cursor},
        {"schedule": agenda.id, "_cursor": cursor[:-2] + "AA"},
    ):
        refused = system.get("/Slot", params=parameters)
        assert (refused.status_code, issue(refused)["expression"]) == (400, ["http._cursor"])


# -- 27 to 30 ---------------------------------------------------------------------------------------------------


def test_item_27_search_by_post(agenda: Agenda, system: httpx.Client) -> None:
    stored = agenda.slot()["id"]
    both = system.post("/Slot/_search?status=free", data={"schedule": agenda.id})
    assert ids(both) == [stored]
    assert ids(system.post("/Slot/_search?status=busy", data={"schedule": agenda.id})) == []
    as_xml = system.post("/Slot/_search", data={"schedule": agenda.id, "_format": "xml"})
    assert as_xml.headers["Content-Type"].startswith("application/fhir+xml")
    assert system.post("/Slot/_search", json={"schedule": agenda.id}).status_code == 415
    everything = system.post("/_search", data={"_type": "Schedule", "_id": agenda.id})
    assert ids(everything) == [agenda.id]


def test_item_27_compartments(system: httpx.Client, graph: dict[str, Resource]) -> None:
    person, visit = graph["person"]["id"], graph["visit"]["id"]
    assert ids(system.get(f"/Patient/{person}/Appointment")) == [visit]
    assert ids(system.get(f"/Patient/{person}/Appointment", params={"status": "cancelled"})) == []
    assert ids(system.post(f"/Patient/{person}/Appointment/_search", data={"status": "booked"})) == [visit]
    assert ids(system.get(f"/Practitioner/{graph['who']['id']}/Schedule")) == [graph["agenda"]["id"]]
    assert ids(system.get(f"/Patient/{unique()}/Appointment")) == []
    assert system.get("/Patient/pas%1Bun%20id/Appointment").status_code == 404
    own = system.get(f"/Patient/{person}/Appointment")
    assert (link(own, "self") or "").endswith(f"/Patient/{person}/Appointment")
    for outside in (f"/Patient/{person}/Slot", f"/Slot/{graph['free']['id']}/Appointment"):
        refused = system.get(outside)
        assert (refused.status_code, issue(refused)["code"]) == (404, "not-supported")


def test_item_27_a_patient_searches_their_own_compartment(stack: Stack, graph: dict[str, Resource]) -> None:
    person = graph["person"]["id"]
    with stack.client("patient", subject=unique(), patient=person) as own:
        assert ids(own.get("/Appointment")) == [graph["visit"]["id"]]
        assert ids(own.get(f"/Patient/{person}/Appointment")) == [graph["visit"]["id"]]
    with stack.client("patient", subject=unique(), patient="someone-else") as other:
        assert ids(other.get("/Appointment", params={"_id": graph["visit"]["id"]})) == []
        assert ids(other.get(f"/Patient/{person}/Appointment")) == []
        assert other.get(f"/Appointment/{graph['visit']['id']}").status_code == 404
        assert ids(other.get("/Slot", params={"_has:Appointment:slot:patient": person})) == []


def test_item_27_search_over_several_types(system: httpx.Client, graph: dict[str, Resource]) -> None:
    wanted = f"{graph['who']['id']},{graph['agenda']['id']}"
    answer = system.get("", params={"_type": "Schedule,Practitioner", "_id": wanted})
    assert ids(answer) == [graph["agenda"]["id"], graph["who"]["id"]]
    assert answer.json()["total"] == 2
    assert system.get("").status_code == 400
    assert system.get("", params={"_type": "Nothing"}).status_code == 404


def test_item_28_unknown_parameters_are_reported(agenda: Agenda, system: httpx.Client) -> None:
    stored = agenda.slot()["id"]
    lenient = system.get("/Slot", params={"schedule": agenda.id, "inconnu": "1", "status:strange": "x"})
    if lenient.status_code == 400:
        lenient = system.get("/Slot", params={"schedule": agenda.id, "inconnu": "1"})
    assert ids(lenient) == [stored]
    told = resources(lenient, "outcome")[0]["issue"][0]
    assert (told["severity"], "inconnu" in told["details"]["text"]) == ("warning", True)
    assert "inconnu" not in (link(lenient, "self") or "")
    strict = system.get("/Slot", params={"inconnu": "1"}, headers={"Prefer": "handling=strict"})
    assert (strict.status_code, issue(strict)["severity"]) == (400, "error")
    empty = system.get("/Slot", params={"schedule": agenda.id, "status": ""})
    assert ids(empty) == [stored], "an empty value asks for nothing"


def test_item_29_near(system: httpx.Client) -> None:
    tag = unique()

    def at(latitude: float, longitude: float) -> str:
        position = {"latitude": latitude, "longitude": longitude}
        return str(created(system, location(name=f"Phare {tag}", position=position))["id"])

    far, close, closest = at(48.2, -4.6), at(48.11, -4.5), at(48.1, -4.5)

    def near(value: str) -> httpx.Response:
        return system.get("/Location", params={"near": value, "name": f"phare {tag}"})

    assert ids(near("48.1|-4.5|5|km")) == [closest, close]
    assert ids(near("48.1|-4.5|50|km")) == [closest, close, far]
    assert ids(near("48.1|-4.5|500|m")) == [closest]
    assert ids(near("48.1|-4.5|3|[mi_i]")) == [closest, close]
    assert ids(near("48.1|-4.5")) == [closest, close, far]
    entries = near("48.1|-4.5|5|km").json()["entry"]
    distances = [entry["search"]["extension"][0]["valueDistance"]["value"] for entry in entries]
    assert distances[0] == 0
    assert distances[1] == pytest.approx(1.11, abs=0.02)
    for bad in ("x|y", "91|0|1|km", "48|2|-1|km", "48|2|1|parsec", "48"):
        assert near(bad).status_code == 400, bad


def test_item_30_an_unknown_identifier_system_matches_nothing(system: httpx.Client) -> None:
    for kind in ("Practitioner", "Appointment", "Slot", "Patient"):
        answer = system.get(f"/{kind}", params={"identifier": "urn:oid:1.2.3.4.5|x"})
        assert (answer.status_code, answer.json()["total"]) == (200, 0)
    assert found(system, "Slot", schedule=unique()) == [], "a reference to nothing is an empty set"


# -- 31 to 35 ---------------------------------------------------------------------------------------------------


def test_item_31_end_is_a_documented_parameter(agenda: Agenda, system: httpx.Client) -> None:
    first, second = agenda.slot(0), agenda.slot(1)
    assert found(system, "Slot", schedule=agenda.id, end=f"le{first['end']}") == [first["id"]]
    who = created(system, patient())["id"]
    visit = created(system, appointment(who, second))["id"]
    own = {"patient": who}
    assert found(system, "Appointment", **own, end=second["end"]) == [visit]
    assert found(system, "Appointment", **own, end=f"gt{second['end']}") == []
    for name in ("Slot-end", "Appointment-end", "Appointment-requested-period"):
        definition = system.get(f"/SearchParameter/{name}").json()
        assert (definition["type"], definition["base"]) == ("date", [name.split("-")[0]])
        assert not definition["url"].startswith("http://hl7.org/"), "our own, under a URL of our own"


def test_item_32_slots_come_in_the_order_of_their_start(agenda: Agenda, system: httpx.Client) -> None:
    for number in (3, 0, 2, 1):
        agenda.slot(number)
    starts = [r["start"] for r in resources(system.get("/Slot", params={"schedule": agenda.id}))]
    assert len(starts) == 4
    assert all(before < after for before, after in pairwise(starts))


def test_item_33_consumers_are_shown_free_slots_and_may_read_busy_ones(
    agenda: Agenda, system: httpx.Client, anonymous: httpx.Client, stack: Stack
) -> None:
    free, busy = agenda.slot(0)["id"], agenda.slot(1, status="busy")["id"]
    own = {"schedule": agenda.id}
    with stack.client("patient", subject=unique()) as consumer:
        for client in (consumer, anonymous):
            shown = client.get("/Slot", params=own)
            assert ids(shown) == [free]
            assert "status=free" in (link(shown, "self") or ""), "what was added is told"
            assert client.get(f"/Slot/{busy}").json()["status"] == "busy"
            assert ids(client.get("/Slot", params={**own, "status": "busy"})) == [busy]
            assert ids(client.get("/Slot", params={"_id": busy})) == [busy]
    assert found(system, "Slot", **own) == [free, busy]


def test_item_34_what_cannot_be_booked_is_refused(system: httpx.Client, stack: Stack) -> None:
    """The agenda's horizon and the present bound what can be booked."""
    now = datetime.now(UTC)
    horizon = {"start": instant(now - timedelta(days=30)), "end": instant(now + timedelta(days=20))}
    agenda = Agenda.create(system, planningHorizon=horizon)
    outside = agenda.slot()
    past = created(system, slot(agenda.id, now - timedelta(days=2)))
    who = created(system, patient())["id"]
    with stack.client("patient", subject=unique(), patient=who) as consumer:
        for stored in (outside, past):
            answer = consumer.post("/Appointment", json=appointment(who, stored))
            assert (answer.status_code, issue(answer)["code"]) == (422, "business-rule")
            assert system.get(f"/Slot/{stored['id']}").json()["status"] == "free"


def test_item_35_large_windows_are_refused(
    agenda: Agenda, anonymous: httpx.Client, system: httpx.Client
) -> None:
    start = datetime.now(UTC)
    for days, status in ((80, 200), (400, 422)):
        end = start + timedelta(days=days)
        window = {"start": instant(start), "end": instant(end), "schedule": f"Schedule/{agenda.id}"}
        answer = system.get("/Appointment/$find", params=window)
        assert answer.status_code == status, answer.text
        bounds = {"start": [f"ge{instant(start)}", f"lt{instant(end)}"], "schedule": agenda.id}
        searched = anonymous.get("/Slot", params=bounds)
        assert searched.status_code == status, searched.text
    assert issue(searched)["code"] == "too-costly"
    assert system.get("/Slot", params=bounds).status_code == 200, "software that mirrors agendas may"
