"""Checks 6.7 of docs/checklists.md: what conformance to FR Core 2.2.0 demands, one test a number (14 is a rule of
the referential, which FR Core has no invariant for)."""

from __future__ import annotations

from typing import Any

import pytest
from shared.tests.fhir.profiled import DROP, FR, FR_TYPES, SPECIALTY, VALID, changed, concept, identifier

from creneau_booking.domain.identity import unverified_official_ins
from creneau_shared.errors import Issue
from creneau_shared.fhir.profiles import profile_issues, profiles_of
from creneau_shared.fhir.validation import validate

STRUCTURE = FR + "StructureDefinition/"
INS = "urn:oid:1.2.250.1.213.1.4.8"


def claiming(profile: str, version: str = "") -> dict[str, Any]:
    """A resource that claims the profile in meta.profile, and meets it."""
    return {**VALID[profile], "meta": {"profile": [STRUCTURE + profile + version]}}


def faults(resource: dict[str, Any]) -> list[Issue]:
    issues = validate(resource) or [i for i in profile_issues(resource) if i.severity == "error"]
    return list(issues)


def elements(resource: dict[str, Any]) -> set[str]:
    return {expression.partition("[")[0] for issue in faults(resource) for expression in issue.expression}


def extension(name: str, **parts: Any) -> dict[str, Any]:
    inner = [{"url": url, f"value{kind}": value} for url, (kind, value) in parts.items()]
    return {"url": STRUCTURE + name, "extension": inner}


DURATION = extension(
    "fr-core-service-type-duration",
    serviceType=("CodeableConcept", {"text": "Consultation"}),
    duration=("Duration", {"value": 15, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}),
)


@pytest.mark.parametrize("profile", ["fr-core-slot", "fr-core-patient", "fr-core-organization"])
@pytest.mark.parametrize("version", ["", "|2.2.0"])
def test_6_7_1_the_canonical_claims_the_profile_with_or_without_its_version(
    profile: str, version: str
) -> None:
    resource = claiming(profile, version)
    assert faults(resource) == []
    assert STRUCTURE + profile in profiles_of(resource["resourceType"])
    broken = {
        "fr-core-slot": "serviceCategory",
        "fr-core-patient": "telecom",
        "fr-core-organization": "telecom",
    }[profile]
    assert faults(
        {
            **resource,
            broken: [{"text": "x"}, {"text": "y"}] if broken == "serviceCategory" else [{"value": "1"}],
        }
    )


@pytest.mark.parametrize(
    "profile", ["fr-core-slot", "fr-core-schedule", "fr-core-appointment", "fr-core-practitioner-role"]
)
def test_6_7_2_specialties_are_those_of_r38(profile: str) -> None:
    resource = claiming(profile)
    assert faults({**resource, "specialty": [concept(SPECIALTY, "SM54")]}) == []
    for wrong in (concept(SPECIALTY, "ZZ99"), concept("http://snomed.info/sct", "394814009")):
        assert elements({**resource, "specialty": [wrong]}) == {f"{resource['resourceType']}.specialty"}


def test_6_7_3_an_agenda_has_no_service_type() -> None:
    assert elements({**claiming("fr-core-schedule"), "serviceType": [{"text": "x"}]}) == {
        "Schedule.serviceType"
    }


@pytest.mark.parametrize(
    ("profile", "element"),
    [
        ("fr-core-slot", "serviceCategory"),
        ("fr-core-schedule", "serviceCategory"),
        ("fr-core-healthcare-service", "category"),
    ],
)
def test_6_7_4_one_category_at_most(profile: str, element: str) -> None:
    resource = claiming(profile)
    assert faults({**resource, element: [{"text": "x"}]}) == []
    twice = {**resource, element: [{"text": "x"}, {"text": "y"}]}
    assert elements(twice) == {f"{resource['resourceType']}.{element}"}


def test_6_7_5_durations_of_services_stand_where_they_may() -> None:
    """On PractitionerRole, HealthcareService and Schedule; nowhere else."""
    for profile in ("fr-core-practitioner-role", "fr-core-healthcare-service", "fr-core-schedule"):
        resource = claiming(profile)
        kept = [one for one in resource.get("extension", ()) if one["url"] != DURATION["url"]]
        assert faults({**resource, "extension": [*kept, DURATION]}) == [], profile
    for profile in ("fr-core-slot", "fr-core-organization"):
        assert elements({**claiming(profile), "extension": [DURATION]}), profile


@pytest.mark.parametrize("part", ["identifier", "type", "start", "end"])
def test_6_7_6_a_time_of_an_agenda_says_four_things(part: str) -> None:
    parts = {
        "identifier": ("Identifier", {"value": "1"}),
        "type": ("Coding", {"system": f"{FR}CodeSystem/fr-core-cs-schedule-type", "code": "free"}),
        "start": ("DateTime", "2026-11-09T08:00:00+01:00"),
        "end": ("DateTime", "2026-11-09T20:00:00+01:00"),
    }
    resource = claiming("fr-core-schedule")
    whole = extension("fr-core-schedule-availability-time", **parts)
    assert faults({**resource, "extension": [whole]}) == []
    lacking = extension("fr-core-schedule-availability-time", **{k: v for k, v in parts.items() if k != part})
    assert faults({**resource, "extension": [lacking]})


def test_6_7_7_one_operator_of_a_kind_that_can_be_one() -> None:
    resource = claiming("fr-core-appointment")
    others = [one for one in resource.get("extension", ()) if not one["url"].endswith("appointment-operator")]

    def operated(*references: str) -> dict[str, Any]:
        said = [
            {"url": f"{STRUCTURE}fr-core-appointment-operator", "valueReference": {"reference": r}}
            for r in references
        ]
        return {**resource, "extension": [*others, *said]}

    for kind in ("Organization", "Practitioner", "Patient", "RelatedPerson"):
        assert faults(operated(f"{kind}/1")) == [], kind
    assert faults(operated("Device/1"))
    assert faults(operated("Patient/1", "Patient/2"))


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("part", ["type", "value"])
def test_6_7_8_national_numbers_of_a_professional_are_whole(index: int, part: str) -> None:
    resource = claiming("fr-core-practitioner")
    assert faults(changed(resource, f"identifier.{index}.{part}", DROP))


def test_6_7_9_the_national_number_of_a_structure_is_official() -> None:
    resource = claiming("fr-core-organization-etablissement")
    assert faults(resource) == []
    assert faults(changed(resource, "identifier.0.use", DROP))
    assert faults(changed(resource, "identifier.0.use", "usual"))


def test_6_7_10_kinds_of_places_are_those_of_fr_core() -> None:
    resource = claiming("fr-core-location")
    assert elements(changed(resource, "type.0", concept("https://example.org/other", "CHAMB"))) == {
        "Location.type"
    }


@pytest.mark.parametrize(
    ("gender", "fits"), [("male", True), ("female", True), ("unknown", True), ("other", False)]
)
def test_6_7_11_gender_of_a_patient(gender: str, fits: bool) -> None:
    assert (faults({**claiming("fr-core-patient"), "gender": gender}) == []) is fits


@pytest.mark.parametrize(
    "path", ["identifier", "name", "gender", "birthDate", "extension.1", "name.0.extension"]
)
def test_6_7_12_an_identity_with_an_ins_is_whole(path: str) -> None:
    """Identifier, official name with the list of birth names, birth place by its commune, birth date, gender."""
    resource = claiming("fr-core-patient-ins")
    assert faults(resource) == []
    assert faults(changed(resource, path, DROP))


def test_6_7_13_a_validated_identity_has_one_official_number_and_it_is_an_ins() -> None:
    resource = claiming("fr-core-patient-ins")
    another = identifier(FR_TYPES, "INS-NIR", INS, "3", use="official")
    assert faults(changed(resource, "identifier.+", another))
    local = identifier(
        "http://terminology.hl7.org/CodeSystem/v2-0203", "PI", "urn:local", "3", use="official"
    )
    assert faults({**resource, "identifier": [local]})


def test_6_7_15_names_and_contact_points() -> None:
    """One prefix at most; a contact point says by what and to whom."""
    person = claiming("fr-core-practitioner")
    assert elements(changed(person, "name.0.prefix.+", "DR")) == {"Practitioner.name"}
    for part in ("system", "value"):
        assert elements(changed(person, f"telecom.0.{part}", DROP)) == {"Practitioner.telecom"}


def test_6_7_16_references_lead_to_what_they_may_and_nothing_is_empty() -> None:
    offer = claiming("fr-core-healthcare-service")
    assert faults(changed(offer, "providedBy.reference", "Patient/1"))
    nothing: tuple[object, ...] = ({}, [], "")
    for empty in nothing:
        assert validate({**offer, "comment": empty} if empty == "" else {**offer, "program": empty})


@pytest.mark.parametrize(("status", "refused"), [("PROV", True), ("VIDE", True), ("VALI", False)])
def test_6_7_14_an_identity_that_is_not_validated_has_no_official_ins(status: str, refused: bool) -> None:
    """Every write of a Patient is held to it, whatever profile it claims; an INS kept otherwise is no matter."""
    resource = claiming("fr-core-patient-ins")
    stated = changed(resource, "extension.0.extension.0.valueCoding.code", status)
    assert (unverified_official_ins(stated) is not None) is refused
    assert unverified_official_ins(changed(stated, "identifier.0.use", "old")) is None
