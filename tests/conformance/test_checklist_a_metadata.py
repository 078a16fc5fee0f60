"""Scheduling (docs/checklists.md), 11 and 12: every refusal is an OperationOutcome in both languages; the
CapabilityStatement is what the server does, no more and no less."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from creneau_shared.fhir.validation import validate
from tests.conformance.builders import JSON_PATCH, created, issue, patient, resources, unique
from tests.fixtures.stack import Stack

ADDRESSES = {
    "read": ("GET", "/{type}/{id}"),
    "vread": ("GET", "/{type}/{id}/_history/1"),
    "create": ("POST", "/{type}"),
    "update": ("PUT", "/{type}/{id}"),
    "patch": ("PATCH", "/{type}/{id}"),
    "delete": ("DELETE", "/{type}/{id}"),
    "history-instance": ("GET", "/{type}/{id}/_history"),
    "history-type": ("GET", "/{type}/_history"),
    "search-type": ("GET", "/{type}"),
}
TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


@pytest.fixture(scope="module")
def statement(system: httpx.Client) -> dict[str, Any]:
    return dict(system.get("/metadata").json())


def _types(statement: dict[str, Any]) -> list[dict[str, Any]]:
    return list(statement["rest"][0]["resource"])


# -- 11 ---------------------------------------------------------------------------------------------------------


def test_item_11_refusals_are_told_in_french_and_english(
    system: httpx.Client, anonymous: httpx.Client
) -> None:
    json_type = {"Content-Type": "application/fhir+json"}
    for answer, status, code in (
        (system.get("/Patient/none"), 404, "not-found"),
        (system.get("/Nothing/1"), 404, "not-supported"),
        (system.post("/Patient", content=b"{", headers=json_type), 400, "structure"),
        (system.get("/Slot", params={"start": "hier"}), 400, "value"),
        (system.put("/metadata"), 405, "not-supported"),
        (system.get("/metadata", params={"mode": "x"}), 400, "value"),
        (system.get("/Slot", headers={"Accept": "image/png"}), 406, "not-supported"),
        (system.post("/Patient", content="x"), 415, "not-supported"),
        (anonymous.get("/Patient/1"), 401, "login"),
        (anonymous.post("/Appointment", json={}), 401, "login"),
    ):
        assert answer.status_code == status, answer.text
        told = issue(answer)
        assert told["severity"] in ("error", "fatal")
        assert told["code"] == code or status == 400, told
        french = told["details"]["text"]
        (translation,) = told["details"]["_text"]["extension"]
        english = {part["url"]: part for part in translation["extension"]}["content"]["valueString"]
        assert translation["url"] == TRANSLATION
        assert french != english
        assert answer.json()["language"] == "fr"


def test_item_11_english_for_those_who_ask(system: httpx.Client) -> None:
    for address in ("/Patient/none", "/Nothing", "/_history?_count=x"):
        french = system.get(address, headers={"Accept-Language": "fr-FR, en;q=0.5"})
        english = system.get(address, headers={"Accept-Language": "en-GB, fr;q=0.5"})
        assert (french.json()["language"], english.json()["language"]) == ("fr", "en")
        assert issue(french)["details"]["text"] != issue(english)["details"]["text"]


def test_item_11_a_wrong_token_is_401_with_a_challenge(stack: Stack) -> None:
    for token in ("nonsense", stack.token("patient")[:-3] + "abc", "a.b.c"):
        answer = httpx.get(f"{stack.fhir}/Patient", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, issue(answer)["code"]) == (401, "login")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_item_11_what_a_token_does_not_allow_is_403(stack: Stack) -> None:
    with stack.client("patient", subject=unique()) as person, stack.client("operator") as operator:
        for answer in (
            person.post("/Slot", json={"resourceType": "Slot"}),
            person.get("/Provenance"),
            operator.post("/Patient", json=patient()),
            operator.delete("/Practitioner/1"),
        ):
            assert answer.status_code in (400, 403), answer.text
        assert issue(person.get("/Provenance"))["code"] == "forbidden"
        assert issue(operator.post("/Patient", json=patient()))["code"] == "forbidden"


# -- 12 ---------------------------------------------------------------------------------------------------------


def test_item_12_statement_is_complete(statement: dict[str, Any], stack: Stack) -> None:
    assert (statement["fhirVersion"], statement["kind"]) == ("4.0.1", "instance")
    assert statement["implementation"]["url"] == stack.fhir
    assert {"application/fhir+json", "application/fhir+xml"} <= set(statement["format"])
    assert JSON_PATCH in statement["patchFormat"]
    rest = statement["rest"][0]
    assert {i["code"] for i in rest["interaction"]} == {
        "batch",
        "transaction",
        "history-system",
        "search-system",
    }
    names = [resource["type"] for resource in rest["resource"]]
    assert len(names) == len(set(names))
    owners = {canonical.rpartition("/")[2] for canonical in rest["compartment"]}
    assert owners == {"patient", "relatedPerson", "practitioner", "device"}
    for resource in rest["resource"]:
        assert {"versioning", "readHistory", "updateCreate", "conditionalCreate"} <= set(resource)
        assert {"conditionalRead", "conditionalUpdate", "conditionalDelete", "referencePolicy"} <= set(
            resource
        )
        parameters = {parameter["name"]: parameter for parameter in resource["searchParam"]}
        assert parameters.pop("_count")["type"] == "number"
        assert all({"name", "type", "definition"} <= set(p) for p in parameters.values())


def test_item_12_what_is_named_is_there(
    system: httpx.Client, statement: dict[str, Any], anonymous: httpx.Client
) -> None:
    """Each canonical of an operation, and of a parameter of a type that a service serves, leads to one resource; the
    longest Bundle is stated, and is the longest."""
    rest = statement["rest"][0]
    assert {"_count", "_sort", "_include"} <= {parameter["name"] for parameter in rest["searchParam"]}
    operations = [*rest.get("operation", ()), *(o for r in rest["resource"] for o in r.get("operation", ()))]
    named = {("OperationDefinition", operation["definition"]) for operation in operations}
    for resource in rest["resource"]:
        if {"code": "create"} in resource["interaction"]:
            named |= {
                ("SearchParameter", parameter["definition"])
                for parameter in resource["searchParam"]
                if "definition" in parameter
            }
    for kind, canonical in sorted(named):
        found = anonymous.get(f"/{kind}", params={"url": canonical, "_summary": "count"}).json()
        assert found["total"] == 1, canonical
    stated = re.search(r"at most (\d+) entries", rest["documentation"])
    assert stated is not None
    entries = [{"request": {"method": "GET", "url": "metadata"}}] * (int(stated[1]) + 1)
    refused = system.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")


def test_item_12_every_interaction_of_every_type_is_as_declared(
    system: httpx.Client, statement: dict[str, Any]
) -> None:
    """What is declared is routed; what is not is refused with 405."""
    for resource in _types(statement):
        declared = {interaction["code"] for interaction in resource["interaction"]}
        for code, (method, template) in ADDRESSES.items():
            address = template.format(type=resource["type"], id=unique())
            status = system.request(method, address).status_code
            assert (status != 405) is (code in declared), (resource["type"], code, status)
            assert status < 500


def test_item_12_every_declared_include_is_understood(
    system: httpx.Client, statement: dict[str, Any]
) -> None:
    strict = {"Prefer": "handling=strict"}
    for resource in _types(statement):
        address = f"/{resource['type']}"
        for parameter, values in (
            ("_include", resource.get("searchInclude", ())),
            ("_revinclude", resource.get("searchRevInclude", ())),
        ):
            for value in values:
                answer = system.get(address, params={parameter: value, "_count": 1}, headers=strict)
                assert answer.status_code == 200, (address, value, answer.text)
                # What a reference to anything happens to name may be of a type that nobody here holds.
                said = [issue for told in resources(answer, "outcome") for issue in told["issue"]]
                assert all("type-not-held" in str(issue["details"]) for issue in said), (address, value, said)


def test_item_12_every_operation_is_as_declared(system: httpx.Client, statement: dict[str, Any]) -> None:
    definitions = {d["url"]: d for d in resources(system.get("/OperationDefinition"))}
    codes = {definition["code"] for definition in definitions.values()}
    for resource in _types(statement):
        declared = {operation["name"]: operation["definition"] for operation in resource.get("operation", ())}
        assert set(declared.values()) <= set(definitions)
        for code in codes:
            answer = system.post(f"/{resource['type']}/${code}", json={"resourceType": "Parameters"})
            offered = code in declared and definitions[declared[code]]["type"]
            assert (answer.status_code != 501) is offered, (resource["type"], code, answer.text)
            assert answer.status_code != 405
    for definition in definitions.values():
        assert system.get(f"/OperationDefinition/{definition['id']}").json() == definition


def test_item_12_the_definitions_that_are_served_are_valid_r4(
    system: httpx.Client, statement: dict[str, Any]
) -> None:
    assert [issue.en for issue in validate(statement)] == []
    for kind in ("SearchParameter", "OperationDefinition"):
        definitions = resources(system.get(f"/{kind}", params={"_count": 1000}))
        assert definitions
        for definition in definitions:
            assert [issue.en for issue in validate(definition)] == [], definition["id"]
    first = definitions[0]
    assert resources(system.get("/OperationDefinition", params={"url": first["url"]})) == [first]
    strict = {"Prefer": "handling=strict"}
    assert system.get("/OperationDefinition", params={"nonsense": "x"}, headers=strict).status_code == 400
    assert system.get("/SearchParameter/nonsense").status_code == 404


def test_item_12_metadata_is_open_and_has_an_etag(anonymous: httpx.Client, stack: Stack) -> None:
    answer = anonymous.get("/metadata")
    assert answer.status_code == 200
    again = anonymous.get("/metadata", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for service in ("booking", "directory", "notifications"):
        own = httpx.get(f"{stack.service_url(service)}/fhir/metadata")
        assert own.json()["resourceType"] == "CapabilityStatement"
        assert system_types(own.json()) >= {"booking": {"Slot"}, "directory": {"Location"}}.get(
            service, set()
        )


def system_types(statement: dict[str, Any]) -> set[str]:
    return {resource["type"] for resource in _types(statement)}


def test_item_12_conditional_support_is_as_declared(system: httpx.Client, statement: dict[str, Any]) -> None:
    kinds = {resource["type"]: resource for resource in _types(statement)}
    assert kinds["Patient"]["conditionalDelete"] == "single"
    assert kinds["Communication"]["conditionalCreate"] is False
    assert kinds["AuditEvent"]["versioning"] == "no-version"
    stored = created(system, patient())
    assert kinds["Patient"]["conditionalRead"] == "full-support"
    assert system.get(f"/Patient/{stored['id']}", headers={"If-None-Match": 'W/"1"'}).status_code == 304
