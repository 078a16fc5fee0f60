"""SAS, editor's side: free slots of SOS Médecins, on the official example: 6.2.8 to 6.2.14."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from deploy.demo.identifiers import siret

from tests.conformance.builders import Resource, created, slot
from tests.conformance.sas_facts import Sas, by_name, encoded, entries, put, resources, transposed
from tests.fixtures.stack import Stack

PROFILES = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/sas-sos-"
NATIONAL = "urn:oid:1.2.250.1.71.4.2.2"
PUBLISHED_FIRST = ("Organization", "Location", "Schedule", "Slot")
VERBATIM = (
    "_revinclude=Slot:schedule&_include=Schedule:actor:Location&_include:iterate=Location:organization"
    "&_has:Slot:schedule:start=ge{start}&_has:Slot:schedule:start=le{end}&_has:Slot:schedule:status=free"
    "&actor:Location.organization.identifier={whom}"
)


@pytest.fixture(scope="module")
def sas(stack: Stack) -> Sas:
    return Sas(stack)


@pytest.fixture(scope="module")
def example(stack: Stack, system: httpx.Client) -> tuple[Resource, list[str]]:
    """The official graph, published resource by resource, and the numbers of its structures."""
    run = uuid4().hex
    rennes, lorient = (f"3{siret(1_000_000 + int(run[at : at + 5], 16))}" for at in (0, 6))
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    ids = {
        "1111111111": f"sas-{run[:8]}-1",
        "2222222222": f"sas-{run[:8]}-2",
        "3333333333": f"sas-{run[:8]}-3",
    }
    dates = {date(2023, 8, 18) + timedelta(days=n): tomorrow + timedelta(days=n) for n in range(2)}
    numbers = {"334173748400020": rennes, "392080466300010": lorient}
    bundle = transposed("Bundle-ExampleBundleAgregateurSOS.json", run, numbers | ids, dates)
    for kind in PUBLISHED_FIRST:
        for resource in resources(bundle, kind):
            put(system, stack, resource)
    return bundle, [rennes, lorient]


def query(numbers: list[str], start: datetime | None = None, end: datetime | None = None) -> str:
    now = datetime.now(UTC)
    return VERBATIM.format(
        start=encoded(start or now),
        end=encoded(end or now + timedelta(days=4)),
        whom=",".join(f"{NATIONAL}%7C{number}" for number in numbers),
    )


def ask(sas: Sas, asked: str) -> Resource:
    answer = sas.get(asked, path="/fhir/Schedule")
    assert answer.status == 200, answer.body
    return answer.body


def test_the_official_graph_comes_back(sas: Sas, example: tuple[Resource, list[str]]) -> None:
    """Member by member, instants in UTC; the Bundle with its profile, `total` of the slots and one link."""
    bundle, numbers = example
    asked = query(numbers)
    found = ask(sas, asked)
    assert found["meta"] == {"profile": [f"{PROFILES}bundle-aggregator"]}
    assert found["total"] == bundle["total"] == len(resources(found, "Slot")) == 4
    assert found["link"] == [{"relation": "self", "url": f"{sas.base}/Schedule?{asked}"}]
    expected, answered = by_name(bundle), by_name(found)
    assert answered.keys() == expected.keys()
    for name, resource in expected.items():
        got = answered[name]
        if resource["resourceType"] == "Slot":
            for bound in ("start", "end"):
                assert datetime.fromisoformat(got.pop(bound)) == datetime.fromisoformat(resource.pop(bound))
        assert got == resource
    modes = {(entry["resource"]["resourceType"], entry["search"]["mode"]) for entry in found["entry"]}
    assert modes == {(k, "match" if k == "Schedule" else "include") for k in PUBLISHED_FIRST}
    assert all(entry["fullUrl"] for entry in found["entry"])


def test_08_09_the_criteria_hold_for_one_and_the_same_slot(
    sas: Sas, system: httpx.Client, example: tuple[Resource, list[str]]
) -> None:
    """An agenda that has a slot in the window and a free one, but no free one in the window, is none; of the others
    only the slots that were meant come along."""
    bundle, numbers = example
    agenda = resources(bundle, "Schedule")[0]["id"]
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    created(system, slot(agenda, later, status="busy"))
    created(system, slot(agenda, later + timedelta(days=3)))
    found = ask(sas, query(numbers, later - timedelta(hours=1), later + timedelta(hours=1)))
    assert (found["total"], found.get("entry")) == (0, None)
    one = min(datetime.fromisoformat(s["start"]) for s in resources(ask(sas, query(numbers)), "Slot"))
    found = ask(sas, query(numbers, one, one))
    assert [s["start"] for s in resources(found, "Slot")] == [one.isoformat(timespec="milliseconds")]
    assert len(resources(found, "Schedule")) == len(resources(found, "Location")) == 1


def test_11_an_agenda_is_of_one_place(sas: Sas, example: tuple[Resource, list[str]]) -> None:
    found = ask(sas, query(example[1]))
    for agenda in resources(found, "Schedule"):
        assert [actor.keys() for actor in agenda["actor"]] == [{"reference"}]
        assert agenda["actor"][0]["reference"].startswith("Location/")
    assert len(entries(found, "Schedule")) == len(entries(found, "Location")) == 3


def test_10_slots_say_to_whom_and_how_and_nothing_else(sas: Sas, example: tuple[Resource, list[str]]) -> None:
    for one in resources(ask(sas, query(example[1])), "Slot"):
        assert {label["code"] for label in one["meta"]["security"]} <= {"PUBLIC", "SNP"}
        codes = {c["code"] for concept in one["serviceType"] for c in concept.get("coding", ())}
        assert codes
        assert codes <= {"AMB", "HH", "VR"}


def test_12_places_are_identified_named_and_addressed(sas: Sas, example: tuple[Resource, list[str]]) -> None:
    for place in resources(ask(sas, query(example[1])), "Location"):
        [kind] = place["identifier"][0]["type"]["coding"]
        assert kind["code"] == "INTRN"
        assert place["name"]
        assert len(place["address"]["line"]) == 1
        assert len(place["address"]["postalCode"]) == 5
        assert place["managingOrganization"]["reference"].startswith("Organization/")


def test_13_a_structure_has_exactly_its_siret(sas: Sas, example: tuple[Resource, list[str]]) -> None:
    for structure in resources(ask(sas, query(example[1])), "Organization"):
        [identifier] = structure["identifier"]
        assert re.fullmatch("3[0-9]{14}", identifier["value"])


def test_14_up_to_25_structures_and_none_is_refused(sas: Sas, example: tuple[Resource, list[str]]) -> None:
    many = [*example[1], *(f"3{n:014d}" for n in range(23))]
    assert ask(sas, query(many))["total"] == 4
    for asked in (
        query([*many, "300000000000099"]),
        query([]),
        query(example[1]).replace("status=free", "x=y"),
    ):
        refused = sas.get(asked, path="/fhir/Schedule")
        assert (refused.status, refused.body["resourceType"]) == (400, "OperationOutcome")
