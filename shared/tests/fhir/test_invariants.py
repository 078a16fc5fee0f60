"""Each invariant of R4 that we know: one resource that breaks it and one beside it that does not."""

from __future__ import annotations

from typing import Any

import pytest
from shared.tests.fhir.resources import appointment, organization, patient

from creneau_shared.fhir import invariants
from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.validation import validate

WHEN = "2026-12-01T08:00:00Z"


def with_value(**value: Any) -> dict[str, Any]:
    return patient(extension=[{"url": "urn:x", **value}])


def timing(**repeat: Any) -> dict[str, Any]:
    return with_value(valueTiming={"repeat": repeat})


def bundle(type_: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    resource: dict[str, Any] = {"resourceType": "Bundle", "type": type_} | more
    return resource | ({"entry": list(entries)} if entries else {})


def parameter(**parts: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "x", **parts}]}


def capability(**changes: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026",
        "kind": "instance",
        "description": "x",
        "implementation": {"description": "x"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server"}],
    }
    return {name: value for name, value in (statement | changes).items() if value is not None}


def rest(**content: Any) -> dict[str, Any]:
    return capability(rest=[{"mode": "server", **content}])


def search_parameter(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "url": "urn:x",
        "name": "X",
        "status": "active",
        "description": "x",
        "code": "x",
        "base": ["Slot"],
        "type": "string",
    } | changes


def operation(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "OperationDefinition",
        "name": "X",
        "status": "active",
        "kind": "operation",
        "code": "x",
        "system": False,
        "type": True,
        "instance": False,
        "parameter": [{"name": "a", "use": "in", "min": 0, "max": "1"} | changes],
    }


def value_set(**include: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}


def expansion(**contains: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "status": "active",
        "expansion": {"timestamp": "2026", "contains": [contains]},
    }


def code_system(*codes: str) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "status": "active",
        "content": "complete",
        "concept": [{"code": code, "concept": [{"code": f"{code}.1"}]} for code in codes],
    }


def audit(**entity: Any) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "type": {"code": "rest"},
        "recorded": WHEN,
        "agent": [{"requestor": True}],
        "source": {"observer": {"display": "x"}},
        "entity": [entity],
    }


ENTRY = {"resource": organization()}
GET = {"method": "GET", "url": "Slot"}
OK = {"status": "200"}
UCUM = "http://unitsofmeasure.org"

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("app-1", appointment(participant=[{"status": "accepted"}]), appointment()),
    ("app-2", appointment(end=None), appointment()),
    ("app-3", appointment(start=None, end=None), appointment(start=None, end=None, status="waitlist")),
    (
        "app-4",
        appointment(cancelationReason={"text": "x"}),
        appointment(cancelationReason={"text": "x"}, status="noshow"),
    ),
    (
        "apr-1",
        {
            "resourceType": "AppointmentResponse",
            "appointment": {"display": "x"},
            "participantStatus": "accepted",
        },
        {
            "resourceType": "AppointmentResponse",
            "appointment": {"display": "x"},
            "participantStatus": "accepted",
            "actor": {"display": "x"},
        },
    ),
    ("org-1", organization(name=None), organization()),
    ("org-2", organization(address=[{"use": "home"}]), organization(address=[{"use": "work"}])),
    (
        "org-3",
        organization(telecom=[{"use": "home", "rank": 1}]),
        organization(telecom=[{"use": "work", "rank": 1}]),
    ),
    ("pat-1", patient(contact=[{"gender": "male"}]), patient(contact=[{"name": {"text": "x"}}])),
    ("ext-1", with_value(), with_value(valueString="x")),
    ("ele-1", patient(name=[{"id": "x"}]), patient(name=[{"id": "x", "text": "y"}])),
    (
        "att-1",
        patient(photo=[{"data": "QUI="}]),
        patient(photo=[{"data": "QUI=", "contentType": "image/png"}]),
    ),
    ("cpt-2", patient(telecom=[{"value": "1"}]), patient(telecom=[{"value": "1", "system": "phone"}])),
    (
        "per-1",
        with_value(valuePeriod={"start": "2026-03-02", "end": "2026-03-01"}),
        with_value(valuePeriod={"start": "2026-03-02T10:00:00+01:00", "end": "2026-03-02"}),
    ),
    (
        "per-1",
        with_value(valuePeriod={"start": "2026-03-02T10:00:00+01:00", "end": "2026-03-02T08:59:59Z"}),
        with_value(valuePeriod={"start": "2026-03-02T10:00:00+01:00", "end": "2026-03-02T09:00:00Z"}),
    ),
    (
        "qty-3",
        with_value(valueQuantity={"code": "m"}),
        with_value(valueQuantity={"code": "m", "system": UCUM}),
    ),
    (
        "drt-1",
        with_value(valueDuration={"code": "min", "system": UCUM}),
        with_value(valueDuration={"value": 1, "code": "min", "system": UCUM}),
    ),
    (
        "sqty-1",
        with_value(valueRange={"low": {"comparator": "<"}}),
        with_value(valueRange={"low": {"value": 1}}),
    ),
    (
        "rng-2",
        with_value(valueRange={"low": {"value": 2}, "high": {"value": 1}}),
        with_value(valueRange={"low": {"value": 1}, "high": {"value": 1}}),
    ),
    (
        "rat-1",
        with_value(valueRatio={"numerator": {"value": 1}}),
        with_value(valueRatio={"numerator": {"value": 1}, "denominator": {"value": 2}}),
    ),
    (
        "exp-1",
        with_value(valueExpression={"language": "text/fhirpath"}),
        with_value(valueExpression={"language": "text/fhirpath", "expression": "x"}),
    ),
    (
        "drq-1",
        with_value(valueDataRequirement={"type": "Slot", "codeFilter": [{"valueSet": "urn:x"}]}),
        with_value(valueDataRequirement={"type": "Slot", "codeFilter": [{"path": "x"}]}),
    ),
    (
        "drq-2",
        with_value(valueDataRequirement={"type": "Slot", "dateFilter": [{"valueDateTime": "2026"}]}),
        with_value(valueDataRequirement={"type": "Slot", "dateFilter": [{"searchParam": "x"}]}),
    ),
    (
        "trd-1",
        with_value(
            valueTriggerDefinition={"type": "periodic", "timingDate": "2026", "data": [{"type": "Slot"}]}
        ),
        with_value(valueTriggerDefinition={"type": "periodic", "timingDate": "2026"}),
    ),
    (
        "trd-2",
        with_value(
            valueTriggerDefinition={"type": "named-event", "condition": {"language": "x", "expression": "y"}}
        ),
        with_value(
            valueTriggerDefinition={
                "type": "data-added",
                "data": [{"type": "Slot"}],
                "condition": {"language": "x", "expression": "y"},
            }
        ),
    ),
    ("tim-1", timing(duration=1), timing(duration=1, durationUnit="h")),
    ("tim-2", timing(period=1), timing(period=1, periodUnit="d")),
    ("tim-4", timing(duration=-1, durationUnit="h"), timing(duration=0, durationUnit="h")),
    ("tim-5", timing(period=-1, periodUnit="d"), timing(period=0, periodUnit="d")),
    ("tim-6", timing(periodMax=1), timing(periodMax=1, period=1, periodUnit="d")),
    ("tim-7", timing(durationMax=1), timing(durationMax=2, duration=1, durationUnit="h")),
    ("tim-8", timing(countMax=2), timing(countMax=2, count=1)),
    ("tim-9", timing(offset=1, when=["C"]), timing(offset=1, when=["MORN"])),
    ("tim-10", timing(timeOfDay=["09:00:00"], when=["MORN"]), timing(timeOfDay=["09:00:00"])),
    ("sev-1", audit(name="x", query="QUI="), audit(name="x")),
    ("inv-1", parameter(), parameter(valueString="x")),
    (
        "inv-1",
        parameter(valueString="x", part=[{"name": "y", "valueCode": "z"}]),
        parameter(resource=patient()),
    ),
    ("bdl-1", bundle("collection", total=1), bundle("searchset", total=1)),
    ("bdl-2", bundle("collection", ENTRY | {"search": {"mode": "match"}}), bundle("searchset", ENTRY)),
    ("bdl-3", bundle("batch", ENTRY), bundle("batch", ENTRY | {"request": GET})),
    ("bdl-4", bundle("batch-response", ENTRY), bundle("batch-response", ENTRY | {"response": OK})),
    ("bdl-5", bundle("collection", {"fullUrl": "urn:x"}), bundle("collection", ENTRY)),
    (
        "bdl-7",
        bundle("collection", ENTRY | {"fullUrl": "urn:x"}, ENTRY | {"fullUrl": "urn:x"}),
        bundle("collection", ENTRY | {"fullUrl": "urn:x"}, ENTRY | {"fullUrl": "urn:y"}),
    ),
    (
        "bdl-8",
        bundle("collection", ENTRY | {"fullUrl": "http://a/Organization/1/_history/2"}),
        bundle("collection", ENTRY | {"fullUrl": "http://a/Organization/1"}),
    ),
    ("bdl-9", bundle("document"), bundle("document", identifier={"system": "urn:x", "value": "1"})),
    ("bdl-10", bundle("document"), bundle("document", timestamp=WHEN)),
    ("bdl-11", bundle("document", ENTRY), bundle("collection", ENTRY)),
    ("bdl-12", bundle("message", ENTRY), bundle("collection", ENTRY)),
    ("cpb-1", capability(rest=None), capability()),
    (
        "cpb-2",
        capability(description=None, implementation=None, kind="requirements"),
        capability(implementation=None, kind="requirements"),
    ),
    (
        "cpb-3",
        capability(
            kind="requirements",
            implementation=None,
            messaging=[{"endpoint": [{"protocol": {"code": "http"}, "address": "http://x"}]}],
        ),
        capability(messaging=[{"endpoint": [{"protocol": {"code": "http"}, "address": "http://x"}]}]),
    ),
    (
        "cpb-7",
        capability(document=[{"mode": "producer", "profile": "urn:x"}] * 2),
        capability(
            document=[{"mode": "producer", "profile": "urn:x"}, {"mode": "consumer", "profile": "urn:x"}]
        ),
    ),
    ("cpb-9", rest(resource=[{"type": "Slot"}] * 2), rest(resource=[{"type": "Slot"}, {"type": "Patient"}])),
    (
        "cpb-12",
        rest(resource=[{"type": "Slot", "searchParam": [{"name": "x", "type": "token"}] * 2}]),
        rest(resource=[{"type": "Slot", "searchParam": [{"name": "x", "type": "token"}]}]),
    ),
    ("cpb-14", capability(implementation=None), capability()),
    (
        "cpb-15",
        capability(kind="capability", implementation=None),
        capability(kind="capability", implementation=None, software={"name": "x"}),
    ),
    ("cpb-16", capability(kind="requirements"), capability(kind="requirements", implementation=None)),
    ("spd-1", search_parameter(xpath="x"), search_parameter(xpath="x", xpathUsage="normal")),
    ("spd-2", search_parameter(chain=["x"]), search_parameter(chain=["x"], type="reference")),
    ("spd-3", search_parameter(comparator=["gt"]), search_parameter(comparator=["gt"], type="date")),
    ("opd-1", operation(), operation(type="string")),
    (
        "opd-2",
        operation(type="uri", searchType="uri"),
        operation(type="string", searchType="uri"),
    ),
    (
        "opd-3",
        operation(type="string", targetProfile=["urn:x"]),
        operation(type="Appointment", targetProfile=["urn:x"]),
    ),
    ("csd-1", code_system("a", "a"), code_system("a", "b")),
    ("vsd-1", value_set(version="1"), value_set(system="urn:x")),
    (
        "vsd-2",
        value_set(valueSet=["urn:y"], concept=[{"code": "x"}]),
        value_set(system="urn:x", concept=[{"code": "x"}]),
    ),
    (
        "vsd-3",
        value_set(
            system="urn:x", concept=[{"code": "x"}], filter=[{"property": "p", "op": "=", "value": "v"}]
        ),
        value_set(system="urn:x", concept=[{"code": "x"}]),
    ),
    ("vsd-6", expansion(abstract=True), expansion(abstract=True, display="x")),
    ("vsd-9", expansion(display="x"), expansion(code="x", system="urn:x")),
    ("vsd-10", expansion(code="x"), expansion(code="x", system="urn:x")),
]

KEYS = sorted({key for key, _, _ in CASES})
ELSEWHERE = {"dom-2", "dom-3", "dom-4", "dom-5"}
"""Tested with contained resources in test_validation."""


@pytest.mark.parametrize(("key", "broken", "kept"), CASES, ids=[case[0] for case in CASES])
def test_invariant(key: str, broken: dict[str, Any], kept: dict[str, Any]) -> None:
    broken_issues = validate(broken)
    assert key in {issue.details_code for issue in broken_issues}
    assert {issue.code for issue in broken_issues} == {"invariant"}
    assert key not in {issue.details_code for issue in validate(kept)}


def test_every_invariant_is_tested_and_stands_on_something_real() -> None:
    """A rule registered under a misspelt name would never run."""
    for name, element in invariants.places():
        if name != "DomainResource":
            definition = type_definition(name)
            assert element is None or element in definition.by_name
    assert {rule.key for rule in invariants.all_invariants()} - set(KEYS) == ELSEWHERE
