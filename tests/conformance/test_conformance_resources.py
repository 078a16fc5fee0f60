"""Definitions and terminology over HTTP: read, searched page by page, shown in part, and asked by operations."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree

from creneau_gateway.conformance.search import PARAMETERS
from creneau_shared.fhir.profiles import SUPPORTED, profile_issues
from creneau_shared.fhir.terminology.extension_codes import EXTENSION_CODES
from creneau_shared.fhir.validation import validate
from creneau_shared.spelling import fold
from tests.conformance import sas_facts
from tests.conformance.builders import resources
from tests.fixtures.stack import Stack

TYPES = sorted(PARAMETERS)
SLOT_STATUS = "http://hl7.org/fhir/slotstatus"
REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
FR_SLOT = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-slot"
CONTEXT = "http://hl7.org/fhir/resource-types|HealthcareService"


def search(client: httpx.Client, kind: str, /, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/{kind}", params=query)
    assert answer.status_code == 200, answer.text
    return resources(answer)


def total(client: httpx.Client, kind: str, /, **query: Any) -> int:
    answer = client.get(f"/{kind}", params={**query, "_summary": "count"})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["total"])


def link(bundle: dict[str, Any], relation: str) -> dict[str, str] | None:
    """The query of one of a Bundle's links."""
    url = next((part["url"] for part in bundle["link"] if part["relation"] == relation), None)
    return None if url is None else dict(parse_qsl(urlsplit(url).query))


@pytest.fixture(scope="module")
def statement(anonymous: httpx.Client) -> dict[str, Any]:
    return anonymous.get("/metadata").json()  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", TYPES)
def test_every_resource_is_valid_and_found_at_its_address(anonymous: httpx.Client, kind: str) -> None:
    """Nobody needs a token to learn what this server means."""
    found = search(anonymous, kind, _count=1000)
    assert found
    model = get_fhir_model_class(kind)
    for resource in found:
        assert [issue.en for issue in validate(resource)] == [], resource["id"]
        model.model_validate(resource)
    assert anonymous.get(f"/{kind}/{found[-1]['id']}").json() == found[-1]


@pytest.mark.parametrize("kind", TYPES)
def test_every_declared_parameter_is_understood(
    anonymous: httpx.Client, statement: dict[str, Any], kind: str
) -> None:
    declared = next(r for r in statement["rest"][0]["resource"] if r["type"] == kind)
    for parameter in declared["searchParam"]:
        if parameter["name"] == "_count":
            continue  # bounds the page; it matches nothing
        name = parameter["name"]
        assert total(anonymous, kind, **{name: "zzz-none"}) == 0
        missing = total(anonymous, kind, **{f"{name}:missing": "true"})
        present = total(anonymous, kind, **{f"{name}:missing": "false"})
        assert missing + present == total(anonymous, kind)


@pytest.mark.parametrize("kind", TYPES)
def test_pages_follow_each_other_to_the_end(anonymous: httpx.Client, kind: str) -> None:
    """_count cuts a page, not the answer: next leads to the rest."""
    whole = [resource["id"] for resource in search(anonymous, kind, _count=1000)]
    size = len(whole) // 3 + 1
    query: dict[str, str] | None = {"_count": str(size), "_elements": "url"}
    ids: list[str] = []
    pages = 0
    while query is not None:
        bundle = anonymous.get(f"/{kind}", params=query).json()
        assert bundle["total"] == len(whole)
        ids += [entry["resource"]["id"] for entry in bundle["entry"]]
        assert (link(bundle, "previous") is not None) is (pages > 0)
        query, pages = link(bundle, "next"), pages + 1
    assert ids == whole
    assert pages == 3


def test_a_count_of_none_gives_the_total_only(anonymous: httpx.Client) -> None:
    for query in ({"_count": "0"}, {"_summary": "count"}):
        bundle = anonymous.get("/CodeSystem", params=query).json()
        assert bundle["total"] > 100
        assert "entry" not in bundle


def test_search_matches_as_r4_says(anonymous: httpx.Client) -> None:
    """string: beginning, accents and case aside; uri: the whole; token: with its system or without."""
    named = {r["name"] for r in search(anonymous, "CodeSystem", name="creneau")}
    of_extensions = {f"Creneau{said.name}" for said in EXTENSION_CODES.values()}
    others = {"CreneauIssue", "CreneauAccessLevel", "CreneauConfidentiality", "CreneauDelegation"}
    assert named == others | of_extensions
    assert search(anonymous, "CodeSystem", **{"name:exact": "creneauissue"}) == []
    assert search(anonymous, "CodeSystem", **{"name:contains": "SLOTSTAT"})
    assert search(anonymous, "CodeSystem", title="créneau : MOTIFS")
    assert [r["url"] for r in search(anonymous, "CodeSystem", url=SLOT_STATUS)] == [SLOT_STATUS]
    assert search(anonymous, "CodeSystem", url=SLOT_STATUS[:-1]) == []
    assert len(search(anonymous, "CodeSystem", **{"url:below": "https://creneau.sante.fr/fhir"})) == len(
        named
    )
    both = search(anonymous, "CodeSystem", url=f"{SLOT_STATUS},{REASONS}")
    assert {r["url"] for r in both} == {SLOT_STATUS, REASONS}
    assert [r["url"] for r in search(anonymous, "CodeSystem", code="busy-tentative")] == [SLOT_STATUS]
    assert search(anonymous, "CodeSystem", status="http://hl7.org/fhir/publication-status|active")
    assert search(anonymous, "CodeSystem", **{"status:not": "active"}) == []


def test_answers_come_in_the_order_asked_for(anonymous: httpx.Client) -> None:
    """Those without a title come last either way, and pages keep the order."""
    query: dict[str, Any] = {"_sort": "title,-name", "_elements": "title,name", "_count": 1000}
    upwards = search(anonymous, "CodeSystem", **query)
    downwards = search(anonymous, "CodeSystem", **{**query, "_sort": "-title"})
    titles = [r["title"] for r in upwards if "title" in r]
    assert [fold(title) for title in titles] == sorted(fold(title) for title in titles)
    assert [fold(r["title"]) for r in downwards if "title" in r] == sorted(map(fold, titles), reverse=True)
    assert "title" not in upwards[-1]
    assert "title" not in downwards[-1]
    untitled = [fold(r["name"]) for r in upwards if "title" not in r]
    assert untitled == sorted(untitled, reverse=True)
    bundle = anonymous.get("/CodeSystem", params={**query, "_count": 10}).json()
    assert (link(bundle, "next") or {})["_sort"] == "title,-name"


def test_definitions_are_found_by_what_they_define(anonymous: httpx.Client) -> None:
    profiles = search(anonymous, "StructureDefinition", type="Slot", derivation="constraint")
    assert FR_SLOT in {r["url"] for r in profiles}
    assert {r["type"] for r in profiles} == {"Slot"}
    standing = search(anonymous, "StructureDefinition", base="http://hl7.org/fhir/StructureDefinition/Slot")
    assert FR_SLOT in {r["url"] for r in standing}, "whatever version the base is named with"
    extensions = search(anonymous, "StructureDefinition", type="Extension", **{"ext-context": "Appointment"})
    assert "held-until" in {r["id"] for r in extensions}
    assert search(anonymous, "SearchParameter", base="Slot", code="start", type="date")
    assert search(anonymous, "OperationDefinition", code="find", type="true")
    assert search(anonymous, "ValueSet", reference=SLOT_STATUS)


def test_post_search_is_the_same_search(anonymous: httpx.Client) -> None:
    answer = anonymous.post("/CodeSystem/_search", data={"url": SLOT_STATUS})
    assert [r["url"] for r in resources(answer)] == [SLOT_STATUS]


def test_services_find_the_codes_to_book_with(anonymous: httpx.Client) -> None:
    """ISiK's discovery of what can be asked for, by HL7's context type and by ISiK's own."""
    isik = "https://gematik.de/fhir/isik/CodeSystem/ContextType|ResourceUsage"
    for context in ("focus", isik):
        found = search(anonymous, "CodeSystem", **{"context-type-value": f"{context}${CONTEXT}"})
        assert any(r["url"].endswith("TRE-R38-SpecialiteOrdinale") for r in found)
        assert REASONS not in {r["url"] for r in found}
    assert search(anonymous, "CodeSystem", **{"context-type-value": f"venue${CONTEXT}"}) == []


def test_parts_are_tagged(anonymous: httpx.Client) -> None:
    address = "/StructureDefinition/fr-core-slot"
    summary = anonymous.get(address, params={"_summary": "true"}).json()
    assert "snapshot" not in summary
    assert summary["meta"]["tag"][0]["code"] == "SUBSETTED"
    part = anonymous.get(address, params={"_elements": "baseDefinition"}).json()
    assert {"url", "status", "type", "baseDefinition"} <= set(part)
    assert "differential" not in part


def test_xml_and_caches(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/ValueSet/slotstatus", headers={"Accept": "application/fhir+xml"})
    assert etree.fromstring(answer.content).tag == "{http://hl7.org/fhir}ValueSet"
    again = anonymous.get("/ValueSet/slotstatus", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/CodeSystem/none", 404),
        ("GET", "/CodeSystem/slotstatus/_history", 405),
        ("POST", "/CodeSystem", 405),
        ("DELETE", "/ValueSet/slotstatus", 405),
        ("GET", "/CodeSystem?_list=x", 400),
        ("GET", "/CodeSystem?url:exact=x", 400),
        ("GET", "/CodeSystem?name:missing=maybe", 400),
        ("GET", "/CodeSystem?_count=many", 400),
        ("GET", "/CodeSystem?_cursor=x", 400),
        ("GET", "/CodeSystem?_summary=x", 400),
        ("GET", "/CodeSystem?_sort=context-type-value", 400),
        ("GET", "/CodeSystem/$expand", 501),
        ("GET", "/ValueSet/slotstatus/x/$expand", 501),
        ("PUT", "/ValueSet/$expand", 405),
        ("GET", "/ValueSet/none/$expand", 404),
        ("GET", "/ValueSet/$expand", 400),
        ("GET", "/CodeSystem/$lookup?system=https://example.org/none&code=x", 404),
    ],
)
def test_what_cannot_be_done_is_said_in_both_languages(
    anonymous: httpx.Client, method: str, address: str, status: int
) -> None:
    texts = set()
    for language in ("fr", "en"):
        answer = anonymous.request(method, address, headers={"Accept-Language": language})
        assert answer.status_code == status, answer.text
        outcome = answer.json()
        assert outcome["resourceType"] == "OperationOutcome"
        texts.add(outcome["issue"][0]["details"]["text"])
    assert len(texts) == 2


def parameters(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parts)}


def values(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert [issue.en for issue in validate(answer.json())] == []
    return {
        part["name"]: next(v for k, v in part.items() if k.startswith("value"))
        for part in answer.json()["parameter"]
        if "part" not in part
    }


def test_expand_by_address_and_by_parameters(anonymous: httpx.Client) -> None:
    url = "http://hl7.org/fhir/ValueSet/slotstatus"
    asked = parameters({"name": "url", "valueUri": url}, {"name": "filter", "valueString": "busy"})
    answers = (
        anonymous.get("/ValueSet/$expand", params={"url": url, "filter": "BUSY"}),
        anonymous.get("/ValueSet/slotstatus/$expand", params={"filter": "busy"}),
        anonymous.post("/ValueSet/$expand", json=asked),
    )
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert [issue.en for issue in validate(answer.json())] == []
        codes = {entry["code"] for entry in answer.json()["expansion"]["contains"]}
        assert codes == {"busy", "busy-unavailable", "busy-tentative"}


def test_questions_about_codes(anonymous: httpx.Client) -> None:
    told = values(anonymous.get("/CodeSystem/$lookup", params={"system": REASONS, "code": "pat-crs"}))
    assert told["display"].startswith("Patient")
    coding = {"system": SLOT_STATUS, "code": "free"}
    asked = parameters(
        {"name": "url", "valueUri": "http://hl7.org/fhir/ValueSet/slotstatus"},
        {"name": "coding", "valueCoding": coding},
    )
    assert values(anonymous.post("/ValueSet/$validate-code", json=asked))["result"] is True
    refused = values(anonymous.get("/CodeSystem/slotstatus/$validate-code", params={"code": "none"}))
    assert refused["result"] is False
    family = {"system": REASONS, "codeA": "pat", "codeB": "pat-crs"}
    assert values(anonymous.get("/CodeSystem/$subsumes", params=family)) == {"outcome": "subsumes"}


def test_everything_the_statement_names_can_be_read_here(
    anonymous: httpx.Client, statement: dict[str, Any]
) -> None:
    """Profiles and operations by their canonicals: nothing that is claimed stays unexplained."""
    held = {
        resource["url"]
        for kind in ("StructureDefinition", "OperationDefinition")
        for resource in search(anonymous, kind, _count=1000, _elements="url")
    }
    for declared in statement["rest"][0]["resource"]:
        assert set(declared.get("supportedProfile", ())) <= held, declared["type"]
        assert {operation["definition"] for operation in declared.get("operation", ())} <= held
        if declared["type"] not in TYPES:
            assert declared["profile"] in held


def test_what_is_rendered_for_sas_meets_the_profiles_that_it_claims(
    stack: Stack, system: httpx.Client
) -> None:
    """The view of one family out of facts of another, checked as a receiver would check it."""
    facts = sas_facts.demonstration()
    for resource in facts.resources:
        sas_facts.put(system, stack, resource)
    bundle = sas_facts.Sas(stack).ask([facts.two_places, facts.one_place])
    rendered = [entry["resource"] for entry in bundle["entry"]]
    assert {resource["resourceType"] for resource in rendered} >= {"Slot", "Schedule", "PractitionerRole"}
    for resource in (*rendered, *(part for whole in rendered for part in whole.get("contained", ()))):
        claims = resource["meta"]["profile"]
        assert set(claims) <= SUPPORTED
        assert [issue.en for issue in profile_issues(resource)] == [], resource


def test_a_claim_is_checked_on_a_write_and_when_asked(system: httpx.Client) -> None:
    """422 with the element when a resource breaks what it claims; $validate says the same without storing it."""
    practitioner = {
        "resourceType": "Practitioner",
        "meta": {"profile": ["https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-practitioner"]},
        "name": [{"family": "Durand", "prefix": ["M", "DR"]}],
    }
    refused = system.post("/Practitioner", json=practitioner)
    assert refused.status_code == 422
    issue = refused.json()["issue"][0]
    assert issue["expression"] == ["Practitioner.name[0].prefix"]
    assert issue["details"]["coding"][0]["code"] == "profile"
    asked = system.post(
        "/Practitioner/$validate",
        params={"profile": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-practitioner"},
        json={"resourceType": "Practitioner", "name": [{"family": "Durand", "prefix": ["M", "DR"]}]},
    )
    assert asked.json()["issue"][0]["expression"] == ["Practitioner.name[0].prefix"]


def test_definitions_and_terminology_in_a_batch(anonymous: httpx.Client) -> None:
    """An entry is answered as the same request alone would be, whoever answers it."""
    wanted = [
        ("GET", "StructureDefinition?url=http://hl7.org/fhir/StructureDefinition/Slot", None),
        ("GET", "Slot?_count=0", None),
        ("POST", "ValueSet/$expand", {"url": "http://hl7.org/fhir/ValueSet/slotstatus"}),
        ("GET", "CodeSystem/none-such", None),
        ("DELETE", "ValueSet/any", None),
    ]
    entries: list[dict[str, Any]] = []
    for method, url, parameters in wanted:
        entry: dict[str, Any] = {"request": {"method": method, "url": url}}
        if parameters is not None:
            parts = [{"name": name, "valueUri": value} for name, value in parameters.items()]
            entry["resource"] = {"resourceType": "Parameters", "parameter": parts}
        entries.append(entry)
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = anonymous.post("/", json=bundle)
    assert answer.status_code == 200, answer.text
    answers = answer.json()["entry"]
    assert [a["response"]["status"] for a in answers] == ["200", "200", "200", "404", "405"]
    assert answers[0]["resource"]["total"] == 1
    assert answers[2]["resource"]["expansion"]["total"] == 5
    assert answers[3]["response"]["outcome"]["issue"][0]["code"] == "not-found"
