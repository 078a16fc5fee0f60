"""Profiles: what they demand is checked, element by element, and is what their publishers demand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared.tests.fhir import official
from shared.tests.fhir.profiled import (
    DROP,
    FR,
    FR_TYPES,
    ORGANIZATION_TYPES,
    SAS_SLOT,
    SERVICE,
    SPECIALTY,
    VALID,
    VISIBILITY,
    VISIT,
    changed,
    concept,
    identifier,
)

from creneau_shared.errors import Issue
from creneau_shared.fhir.profiles import SUPPORTED, profile_issues
from creneau_shared.fhir.profiles.catalogue import profile_catalogue
from creneau_shared.fhir.profiles.constraints import CONSTRAINTS
from creneau_shared.fhir.validation import validate

URLS = {url.rsplit("/", 1)[-1]: url for url in SUPPORTED}
OTHER = "https://example.org/other"
RELIABILITY = FR + "StructureDefinition/fr-core-identity-reliability"


def errors(resource: dict[str, Any], profile: str) -> list[Issue]:
    return [issue for issue in profile_issues(resource, [URLS[profile]]) if issue.severity == "error"]


def test_there_is_a_resource_for_every_profile() -> None:
    assert set(VALID) == set(URLS)


@pytest.mark.parametrize("profile", sorted(VALID))
def test_what_a_profile_allows_is_accepted(profile: str) -> None:
    assert [issue.en for issue in validate(VALID[profile])] == []
    assert [issue.en for issue in errors(VALID[profile], profile)] == []


# (profile, path, value, code of the issue, FHIRPath of the element)
BROKEN: tuple[tuple[str, str, Any, str, str], ...] = (
    ("fr-core-slot", "serviceCategory.+", {"text": "x"}, "structure", "Slot.serviceCategory"),
    ("fr-core-slot", "specialty.0", concept(OTHER, "SM54"), "code-invalid", "Slot.specialty[0]"),
    ("fr-core-slot", "specialty.0", concept(SPECIALTY, "none"), "code-invalid", "Slot.specialty[0]"),
    ("fr-core-schedule", "serviceCategory.+", {"text": "x"}, "structure", "Schedule.serviceCategory"),
    # GAP adds nothing to what it is built on (docs/checklists.md, 6.5.6 and 6.5.7).
    ("gap-fr-schedule", "serviceType", [{"text": "x"}], "structure", "Schedule.serviceType"),
    ("gap-fr-schedule", "specialty.0", concept(OTHER, "1"), "code-invalid", "Schedule.specialty[0]"),
    ("gap-fr-slot", "specialty.0", concept(OTHER, "SM54"), "code-invalid", "Slot.specialty[0]"),
    ("gap-fr-appointment", "specialty.0", concept(OTHER, "1"), "code-invalid", "Appointment.specialty[0]"),
    ("fr-core-schedule", "serviceType", [{"text": "x"}], "structure", "Schedule.serviceType"),
    ("fr-core-schedule", "specialty.0", concept(OTHER, "1"), "code-invalid", "Schedule.specialty[0]"),
    ("fr-core-appointment", "specialty.0", concept(OTHER, "1"), "code-invalid", "Appointment.specialty[0]"),
    ("fr-core-healthcare-service", "category.+", {"text": "x"}, "structure", "HealthcareService.category"),
    ("fr-core-location", "type.0", concept(OTHER, "CHAMB"), "code-invalid", "Location.type[0]"),
    (
        "fr-core-location",
        "extension",
        [{"url": "http://fhir.fr/StructureDefinition/fr-core-location-position-lit", "valueString": "x"}],
        "invariant",
        "Location",
    ),
    ("fr-core-related-person", "identifier", DROP, "required", "RelatedPerson.identifier"),
    ("fr-core-related-person", "identifier.+", {"value": "2"}, "structure", "RelatedPerson.identifier"),
    ("fr-core-related-person", "telecom", [{"value": "1"}], "required", "RelatedPerson.telecom[0].system"),
    ("fr-core-organization", "telecom.0.value", DROP, "required", "Organization.telecom[0].value"),
    (
        "fr-core-organization-etablissement",
        "identifier.0.value",
        DROP,
        "required",
        "Organization.identifier[0].value",
    ),
    (
        "fr-core-organization-etablissement",
        "identifier.0.use",
        DROP,
        "required",
        "Organization.identifier[0].use",
    ),
    (
        "fr-core-organization-uf",
        "type.0",
        concept(ORGANIZATION_TYPES, "UAC"),
        "value",
        "Organization.type[0]",
    ),
    (
        "fr-core-organization-uac",
        "type.0",
        concept(ORGANIZATION_TYPES, "UF"),
        "value",
        "Organization.type[0]",
    ),
    ("fr-core-practitioner", "identifier.0.type", DROP, "required", "Practitioner.identifier[0].type"),
    (
        "fr-core-practitioner",
        "identifier.0.type",
        concept(FR_TYPES, "RPPS"),
        "value",
        "Practitioner.identifier[0].type",
    ),
    ("fr-core-practitioner", "identifier.1.value", DROP, "required", "Practitioner.identifier[1].value"),
    (
        "fr-core-practitioner",
        "identifier.+",
        identifier(FR_TYPES, "IDNPS", "urn:oid:1.2.250.1.71.4.2.1", "9"),
        "structure",
        "Practitioner.identifier",
    ),
    ("fr-core-practitioner", "name.0.prefix.+", "DR", "structure", "Practitioner.name[0].prefix"),
    (
        "fr-core-practitioner-role",
        "identifier.+",
        {"system": "https://www.ameli.fr", "value": "2"},
        "structure",
        "PractitionerRole.identifier",
    ),
    (
        "fr-core-practitioner-role",
        "specialty.0",
        concept(OTHER, "1"),
        "code-invalid",
        "PractitionerRole.specialty[0]",
    ),
    ("fr-core-patient", "gender", "other", "code-invalid", "Patient.gender"),
    ("fr-core-patient", "identifier.0.use", "usual", "value", "Patient.identifier[0].use"),
    ("fr-core-patient", "identifier.0.system", DROP, "required", "Patient.identifier[0].system"),
    ("fr-core-patient", "name.0.family", DROP, "required", "Patient.name[0].family"),
    ("fr-core-patient", "telecom.0.system", DROP, "required", "Patient.telecom[0].system"),
    (
        "fr-core-patient",
        "extension",
        [{"url": FR + "StructureDefinition/fr-core-patient-death-place", "valueString": "x"}],
        "structure",
        f"Patient.extension.where(url='{FR}StructureDefinition/fr-core-patient-death-place').value",
    ),
    (
        "fr-core-patient",
        "extension",
        [{"url": FR + "StructureDefinition/fr-core-address-insee-code", "valueCoding": {"code": "1"}}],
        "extension",
        f"Patient.extension.where(url='{FR}StructureDefinition/fr-core-address-insee-code')",
    ),
    ("fr-core-patient-ins", "birthDate", DROP, "required", "Patient.birthDate"),
    ("fr-core-patient-ins", "identifier.0.use", "usual", "code-invalid", "Patient.identifier[0].use"),
    ("fr-core-patient-ins", "identifier.0.use", "old", "invariant", "Patient"),
    ("fr-core-patient-ins", "name.0.given.+", "Lou", "structure", "Patient.name[0].given"),
    ("fr-core-patient-ins", "name.0.use", "usual", "required", "Patient.name"),
    ("fr-core-patient-ins", "extension.1", DROP, "required", "Patient.extension"),
    (
        "fr-core-patient-ins",
        "identifier.+",
        {"use": "official", "system": "urn:x:1", "value": "1"},
        "invariant",
        "Patient",
    ),
    ("FrSlotAgregateur", "status", "busy", "value", "Slot.status"),
    ("FrSlotAgregateur", "meta.security.0.code", "CPTS", "code-invalid", "Slot.meta.security[0]"),
    ("FrSlotAgregateur", "serviceType.0", concept(VISIT, "none"), "code-invalid", "Slot.serviceType[0]"),
    ("FrSlotAgregateur", "serviceCategory.+", {"text": "x"}, "structure", "Slot.serviceCategory"),
    ("FrSlotAgregateur", "specialty.0", concept(OTHER, "1"), "code-invalid", "Slot.specialty[0]"),
    ("FrSlotAgregateur", "schedule", {"reference": "#a"}, "value", "Slot.schedule"),
    ("FrScheduleAgregateur", "serviceType", [{"text": "x"}], "structure", "Schedule.serviceType"),
    ("FrScheduleAgregateur", "actor.0", {"reference": "#a"}, "value", "Schedule.actor[0]"),
    ("FrPractitionerAgregateur", "identifier", DROP, "required", "Practitioner.identifier"),
    (
        "FrPractitionerAgregateur",
        "identifier.0.system",
        "urn:x:1",
        "value",
        "Practitioner.identifier[0].system",
    ),
    (
        "FrPractitionerAgregateur",
        "identifier.0.type.coding.+",
        {"code": "x"},
        "structure",
        "Practitioner.identifier[0].type.coding",
    ),
    ("FrPractitionerRegul", "meta.source", "urn:x:1", "value", "Practitioner.meta.source"),
    ("FrPractitionerRegul", "active", DROP, "required", "Practitioner.active"),
    ("FrPractitionerRegul", "telecom.0.system", "phone", "value", "Practitioner.telecom[0].system"),
    ("FrPractitionerRegul", "name.0.given.+", "x", "structure", "Practitioner.name[0].given"),
    ("FrPractitionerRoleExerciceAgregateur", "contained", DROP, "required", "PractitionerRole.contained"),
    (
        "FrPractitionerRoleExerciceAgregateur",
        "location.0",
        {"reference": "Location/1"},
        "value",
        "PractitionerRole.location[0]",
    ),
    (
        "FrPractitionerRoleExerciceAgregateur",
        "organization.identifier.system",
        "urn:x:1",
        "value",
        "PractitionerRole.organization.identifier.system",
    ),
    ("FrLocationAgregateur", "address", DROP, "required", "Location.address"),
    ("FrLocationAgregateur", "address.line.+", "Bât. B", "structure", "Location.address.line"),
    ("FrLocationAgregateur", "identifier.0.value", DROP, "required", "Location.identifier[0].value"),
    ("FrAppointmentSAS", "extension", DROP, "required", "Appointment.extension"),
    ("FrAppointmentSAS", "extension.0.url", OTHER, "required", "Appointment.extension"),
    (
        "FrAppointmentSAS",
        "extension.0.valueReference.identifier.type.coding.0.system",
        OTHER,
        "value",
        "Appointment.extension[0].valueReference.identifier.type.coding[0].system",
    ),
    (
        "FrAppointmentSAS",
        "participant.0.status",
        "tentative",
        "code-invalid",
        "Appointment.participant[0].status",
    ),
    (
        "FrAppointmentSAS",
        "participant.0.actor.identifier.type.coding.0.code",
        "RPPS",
        "value",
        "Appointment.participant[0].actor.identifier.type.coding[0]",
    ),
    (
        "sas-sos-appointment",
        "identifier.+",
        {"system": "urn:x:1", "value": "2"},
        "structure",
        "Appointment.identifier",
    ),
    (
        "sas-sos-appointment",
        "extension.0.valueReference.identifier.type.coding.0.code",
        "RPPS",
        "code-invalid",
        "Appointment.extension[0].valueReference.identifier.type.coding[0]",
    ),
    (
        "sas-cpts-slot-aggregator",
        "serviceType.1.extension",
        DROP,
        "required",
        "Slot.serviceType[1].extension",
    ),
    (
        "sas-cpts-slot-aggregator",
        "serviceType.0.extension",
        [{"url": SERVICE, "valueReference": {"reference": "HealthcareService/1"}}],
        "structure",
        "Slot.serviceType[0].extension",
    ),
    (
        "sas-cpts-slot-aggregator",
        "serviceType.1.extension.0.valueReference.reference",
        "Organization/1",
        "value",
        "Slot.serviceType[1].extension[0].value",
    ),
    (
        "sas-cpts-slot-aggregator",
        "appointmentType.coding.0.code",
        "FOLLOWUP",
        "code-invalid",
        "Slot.appointmentType.coding[0]",
    ),
    (
        "sas-cpts-organization-aggregator",
        "identifier.0.value",
        "2690000001",
        "invariant",
        "Organization.identifier[0]",
    ),
    (
        "sas-cpts-organization-aggregator",
        "identifier.0.type",
        concept(OTHER, "x"),
        "value",
        "Organization.identifier[0].type",
    ),
    ("sas-cpts-healthcareservice-aggregator", "providedBy", DROP, "required", "HealthcareService.providedBy"),
    (
        "sas-cpts-healthcareservice-aggregator",
        "category.+",
        {"text": "x"},
        "structure",
        "HealthcareService.category",
    ),
    ("sas-sos-slot-aggregator", "status", "busy", "value", "Slot.status"),
    (
        "sas-sos-slot-aggregator",
        "meta.security.0",
        {"system": VISIBILITY, "code": "CPTS"},
        "code-invalid",
        "Slot.meta.security[0]",
    ),
    (
        "sas-sos-slot-aggregator",
        "serviceType.0.coding.0.code",
        "IMP",
        "code-invalid",
        "Slot.serviceType[0].coding[0]",
    ),
    ("sas-sos-schedule-aggregator", "actor.0", {"reference": "Practitioner/1"}, "value", "Schedule.actor[0]"),
    ("sas-sos-schedule-aggregator", "actor.0", {"display": "x"}, "required", "Schedule.actor[0].reference"),
    ("sas-sos-location-aggregator", "address.postalCode", "690003", "value", "Location.address.postalCode"),
    (
        "sas-sos-location-aggregator",
        "managingOrganization",
        DROP,
        "required",
        "Location.managingOrganization",
    ),
    ("sas-sos-location-aggregator", "name", DROP, "required", "Location.name"),
    (
        "sas-sos-organization-aggregator",
        "identifier.0.value",
        "1690000001",
        "invariant",
        "Organization.identifier[0]",
    ),
    ("sas-sos-organization-aggregator", "identifier", DROP, "required", "Organization.identifier"),
    *(  # what the ROR itself constrains are facets, which the directory judges (`domain.ror.facets`)
        (
            f"ror-{type_.lower()}",
            "extension",
            [{"url": FR + "StructureDefinition/fr-core-address-insee-code", "valueCoding": {"code": "1"}}],
            "extension",
            f"{type_}.extension.where(url='{FR}StructureDefinition/fr-core-address-insee-code')",
        )
        for type_ in ("HealthcareService", "Location", "Organization", "Practitioner", "PractitionerRole")
    ),
)


@pytest.mark.parametrize(
    ("profile", "path", "value", "code", "expression"),
    BROKEN,
    ids=[f"{row[0]}-{row[1]}-{number}" for number, row in enumerate(BROKEN)],
)
def test_what_a_profile_forbids_is_refused_by_its_element(
    profile: str, path: str, value: Any, code: str, expression: str
) -> None:
    found = errors(changed(VALID[profile], path, value), profile)
    assert (code, (expression,)) in [(issue.code, issue.expression) for issue in found], found
    for issue in found:
        assert issue.details_code == "profile"
        assert issue.fr != issue.en


def test_every_profile_and_every_kind_of_rule_is_broken_once() -> None:
    assert {row[0] for row in BROKEN} == set(URLS)
    kinds = Counter(row[3] for row in BROKEN)
    assert set(kinds) == {"structure", "code-invalid", "invariant", "required", "value", "extension"}


def test_a_claim_is_enough() -> None:
    """What meta.profile claims is checked without being asked for, whatever the version."""
    claimed = changed(VALID["FrSlotAgregateur"], "status", "busy")
    claimed["meta"] = {**claimed["meta"], "profile": [URLS["FrSlotAgregateur"] + "|1.2.0"]}
    assert [issue.expression for issue in profile_issues(claimed)] == [("Slot.status",)]
    assert profile_issues({**claimed, "meta": {"profile": [OTHER]}}) == []


def test_values_that_are_only_extended_are_counted_and_not_read() -> None:
    """A primitive may have extensions in place of its value: null beside them, in lists."""
    unknown = {"extension": [{"url": "https://example.org/unknown", "valueBoolean": True}]}
    patient = changed(VALID["fr-core-patient"], "name.0.given", [None])
    patient["name"][0]["_given"] = [unknown]
    patient["name"][0]["_family"] = unknown
    del patient["name"][0]["family"]
    patient["meta"] = {"profile": [None], "_profile": [unknown]}
    assert [issue.en for issue in validate(patient)] == []
    assert errors(patient, "fr-core-patient") == []


def test_a_profile_that_is_asked_for_and_not_known_is_a_warning() -> None:
    found = profile_issues(SAS_SLOT, [OTHER])
    assert [(issue.severity, issue.code) for issue in found] == [("warning", "not-supported")]
    assert profile_issues(SAS_SLOT, ["http://hl7.org/fhir/StructureDefinition/Slot"]) == []


def test_a_profile_of_another_type_is_refused() -> None:
    found = errors(SAS_SLOT, "fr-core-patient")
    assert [issue.expression for issue in found] == [("Slot",)]


def test_words_without_a_code_are_a_warning() -> None:
    """SAS's own examples have them; the platform reads them."""
    words = changed(VALID["FrSlotAgregateur"], "specialty.0", {"text": "Médecine générale"})
    found = profile_issues(words, [URLS["FrSlotAgregateur"]])
    assert [(issue.severity, issue.expression) for issue in found] == [("warning", ("Slot.specialty[0]",))]


def test_a_value_set_that_is_not_held_refuses_nothing() -> None:
    role = changed(VALID["FrPractitionerRoleExerciceAgregateur"], "code", [concept(OTHER, "x")])
    assert errors(role, "FrPractitionerRoleExerciceAgregateur") == []


def test_a_base_profile_is_checked_with_the_one_that_stands_on_it() -> None:
    """fr-core-patient-ins says nothing of telecom; fr-core-patient does."""
    patient = changed(VALID["fr-core-patient-ins"], "telecom.0.system", DROP)
    assert [issue.expression for issue in errors(patient, "fr-core-patient-ins")] == [
        ("Patient.telecom[0].system",)
    ]


def test_an_identity_that_is_not_validated_needs_no_ins() -> None:
    patient = changed(VALID["fr-core-patient-ins"], "identifier.0.use", "old")
    patient["extension"][0]["extension"][0]["valueCoding"]["code"] = "PROV"
    assert not [issue for issue in errors(patient, "fr-core-patient-ins") if issue.code == "invariant"]


def test_every_constraint_of_a_profile_has_its_rule() -> None:
    stated = {
        rule["key"]
        for profile in profile_catalogue().values()
        for element in profile.elements
        for rule in element.get("constraint", ())
    }
    assert stated == set(CONSTRAINTS)


# --- The official examples and definitions --------------------------------------------------------

GUIDES = ("frcore-2.2.0", "sas", "gap", "annuaire")
needs_official = pytest.mark.skipif(
    not official.ROOT.is_dir(), reason=f"the official FHIR examples are not at {official.ROOT}"
)

WORDS_ONLY = "specialties in words only"
WARNED = {"ExampleSlotPSIndiv3": WORDS_ONLY, "ExampleSlotPSIndiv5": WORDS_ONLY}
"""Official examples with a warning, and why; none is refused."""


def claiming() -> Iterator[dict[str, Any]]:
    """Every official example that claims a profile that is checked, those in Bundles too."""
    for path in official.examples():
        if not any(f"/{guide}/" in str(path) for guide in GUIDES):
            continue
        resource = official.read(path)
        entries = [entry["resource"] for entry in resource.get("entry", ()) if "resource" in entry]
        for found in entries if resource["resourceType"] == "Bundle" else [resource]:
            claims = found.get("meta", {}).get("profile", ())
            if any(claim.partition("|")[0] in SUPPORTED for claim in claims):
                yield found


@pytest.mark.official
@needs_official
def test_every_official_example_meets_the_profiles_that_it_claims() -> None:
    checked: Counter[str] = Counter()
    for resource in claiming():
        found = profile_issues(resource)
        assert [issue.en for issue in found if issue.severity == "error"] == [], resource["id"]
        assert not found or resource["id"] in WARNED, (resource["id"], found)
        checked.update(claim.partition("|")[0] for claim in resource["meta"]["profile"])
    # GAP and the Annuaire have no examples of these; the others have one at least.
    assert len(checked.keys() & SUPPORTED) >= 20, checked


COMPARED = ("min", "max", "binding", "maxLength", "slicing", "type")
PROSE = {"description", "extension", "additional"}


def differential(element: dict[str, Any]) -> dict[str, Any]:
    """What constrains in an element: no prose, no mappings."""
    found = {name: value for name, value in element.items() if name.startswith(("fixed", "pattern"))}
    for name in COMPARED:
        if name in element:
            value = element[name]
            if isinstance(value, dict):
                value = {key: part for key, part in value.items() if key not in PROSE}
            elif isinstance(value, list):
                value = [{k: v for k, v in part.items() if k not in PROSE} for part in value]
            found[name] = value
    if "valueSet" not in found.get("binding", {"valueSet": ""}):
        del found["binding"]
    if "constraint" in element:
        found["constraint"] = [
            (rule["key"], rule["severity"], rule["expression"]) for rule in element["constraint"]
        ]
    return found


EXCEPTIONS: dict[str, str] = {}
"""Elements whose official row is not carried over, and why: none."""


@pytest.mark.official
@needs_official
def test_our_rows_are_those_of_the_official_definitions() -> None:
    """Element by element: a rule that a publisher adds, drops or changes shows here."""
    compared = 0
    for path in sorted(Path(official.ROOT).glob("*/definitions/StructureDefinition-*.json")):
        published = json.loads(path.read_bytes())
        profile = profile_catalogue().get(published["url"])
        if profile is None or published["version"] != profile.version:
            continue
        ours = {element["id"]: differential(dict(element)) for element in profile.elements}
        theirs = {e["id"]: differential(e) for e in published["differential"]["element"]}
        snapshot = {e["id"]: differential(e) for e in published["snapshot"]["element"]}
        for id_, wanted in theirs.items():
            own = ours.get(id_, {})
            for name, value in wanted.items():
                assert own.get(name) == value or id_ in EXCEPTIONS, (published["id"], id_, name)
            compared += 1
        for id_, own in ours.items():
            for name, value in own.items():
                if name in theirs.get(id_, {}):
                    continue
                # What SAS inherits from FR Core 1.1.0, which is not published beside it, is restated.
                assert "fr-core" not in profile.id, (profile.id, id_, name)
                assert snapshot[id_].get(name) == value, (published["id"], id_, name)
        assert [dict(c) for c in profile.context] == published.get("context", []), published["id"]
        assert profile.base == published["baseDefinition"]
    assert compared > 450
