"""SAS, editor's side: what slots shared by professionals of a CPTS add (INT_R04), on the official example: 6.2.1 to 6.2.7."""

from __future__ import annotations

import re
from datetime import datetime

import httpx
import pytest

from tests.conformance.builders import Resource
from tests.conformance.sas_facts import Sas, by_name, entries, official_cpts, put, query, resources
from tests.fixtures.stack import Stack

INCLUDES = "&_include=Slot:service-type-reference&_include:iterate=HealthcareService:organization"
PUBLISHED_FIRST = (
    "Organization",
    "HealthcareService",
    "Practitioner",
    "PractitionerRole",
    "Schedule",
    "Slot",
)


@pytest.fixture(scope="module")
def sas(stack: Stack) -> Sas:
    return Sas(stack)


@pytest.fixture(scope="module")
def example(stack: Stack, system: httpx.Client) -> tuple[Resource, str]:
    """The official graph, published resource by resource, and the practitioner's number."""
    bundle, number = official_cpts()
    for kind in PUBLISHED_FIRST:
        for resource in resources(bundle, kind):
            put(system, stack, resource)
    return bundle, number


@pytest.fixture(scope="module")
def answer(sas: Sas, example: tuple[Resource, str]) -> Resource:
    """The Bundle of the CPTS flow."""
    found = sas.get(query([example[1]]) + INCLUDES)
    assert found.status == 200, found.body
    return found.body


def test_the_official_graph_comes_back(answer: Resource, example: tuple[Resource, str]) -> None:
    """Member by member; instants in UTC, and the structure's number with the type that it lacks in the example."""
    expected, found = by_name(example[0]), by_name(answer)
    assert found.keys() == expected.keys()
    for name, resource in expected.items():
        kind = resource["resourceType"]
        if kind == "Slot":
            for bound in ("start", "end"):
                sent = datetime.fromisoformat(found[name].pop(bound))
                assert sent == datetime.fromisoformat(resource.pop(bound))
        if kind == "PractitionerRole":
            sent_number = found[name].pop("organization")["identifier"]["value"]
            assert sent_number == resource.pop("organization")["identifier"]["value"]
        assert found[name] == resource


def test_01_a_shared_slot_is_labelled_and_refers_to_the_service(answer: Resource) -> None:
    slot = resources(answer, "Slot")[0]
    assert "CPTS" in {label["code"] for label in slot["meta"]["security"]}
    shared = [concept for concept in slot["serviceType"] if "extension" in concept]
    known = {f"HealthcareService/{service['id']}" for service in resources(answer, "HealthcareService")}
    assert {concept["extension"][0]["valueReference"]["reference"] for concept in shared} == known
    assert {concept["coding"][0]["code"] for concept in shared} == {"604"}


def test_02_every_service_has_its_organization(answer: Resource) -> None:
    services, organizations = resources(answer, "HealthcareService"), resources(answer, "Organization")
    assert len(services) == len(organizations) > 0
    known = {f"Organization/{organization['id']}" for organization in organizations}
    assert {service["providedBy"]["reference"] for service in services} == known


def test_03_a_cpts_has_exactly_its_finess(answer: Resource) -> None:
    for organization in resources(answer, "Organization"):
        (identifier,) = organization["identifier"]
        assert re.fullmatch(r"1[0-9]{9}", identifier["value"])
        system = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
        assert identifier["type"]["coding"] == [{"system": system, "code": "IDNST"}]


def test_04_a_slot_of_two_cpts_brings_two_of_each(answer: Resource) -> None:
    assert len(resources(answer, "HealthcareService")) == len(resources(answer, "Organization")) == 2


def test_05_a_slot_without_the_label_has_nothing_of_a_cpts(
    stack: Stack, system: httpx.Client, sas: Sas, example: tuple[Resource, str]
) -> None:
    slot = resources(example[0], "Slot")[0]
    labels = [label for label in slot["meta"]["security"] if label["code"] != "CPTS"]
    put(system, stack, slot | {"meta": {"security": labels}})
    bundle = sas.get(query([example[1]]) + INCLUDES).body
    put(system, stack, slot)
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} == {
        *("Slot", "Schedule", "Practitioner", "PractitionerRole")
    }
    assert "604" not in str(resources(bundle, "Slot")[0]["serviceType"])
    assert resources(bundle, "Slot")[0]["meta"]["profile"] == [
        "http://sas.fr/fhir/StructureDefinition/FrSlotAgregateur"
    ]


def test_06_the_bundle_has_a_total_one_link_and_addresses(answer: Resource) -> None:
    assert answer["total"] == len(entries(answer, "Slot")) == 1
    assert len(answer["link"]) == 1
    assert all(entry["fullUrl"] for entry in answer["entry"])
    for kind in ("Slot", "Schedule", "Practitioner", "PractitionerRole"):
        assert entries(answer, kind)


def test_07_the_includes_are_followed_one_by_one(sas: Sas, example: tuple[Resource, str]) -> None:
    services_alone = INCLUDES.partition("&_include:iterate")[0]
    bundle = sas.get(query([example[1]]) + services_alone).body
    assert len(resources(bundle, "HealthcareService")) == 2
    assert resources(bundle, "Organization") == []


def test_the_flow_of_individual_practitioners_does_not_see_what_a_cpts_shares(
    sas: Sas, example: tuple[Resource, str]
) -> None:
    """Its profile has no label CPTS."""
    assert sas.ask([example[1]])["total"] == 0
