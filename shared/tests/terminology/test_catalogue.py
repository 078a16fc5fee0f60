"""The terminology that ships: consistent in itself, with the validator's lists, with what our answers say, and with
the lists that it was made from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.codesystem import CodeSystem as CodeSystemModel
from fhir.resources.R4B.valueset import ValueSet as ValueSetModel
from shared.tests.terminology.raised import used_codes

from creneau_shared.fhir import terminology
from creneau_shared.fhir.definitions import UnknownTypeError, type_definition
from creneau_shared.fhir.outcome import ISSUE_SYSTEM
from creneau_shared.fhir.structure_definitions.base import bindings
from creneau_shared.fhir.terminology.catalogue import catalogue, value_set_catalogue
from creneau_shared.fhir.terminology.expansion import expansion
from creneau_shared.fhir.validation import validate

ROOT = Path(__file__).parents[3]
LISTS = ROOT.parent / "shared" / "terminology"

REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
ISSUES = "http://hl7.org/fhir/issue-type"
SLOT_STATUS = "http://hl7.org/fhir/ValueSet/slotstatus"
IDENTIFIER_USE = "http://hl7.org/fhir/identifier-use"


def test_a_reason_of_the_patient_is_below_patient() -> None:
    """Cancellation statistics ask for `pat` and everything below."""
    below = terminology.descendants(REASONS, "pat")
    assert below is not None
    assert {"pat", "pat-crs", "pat-cpp"} <= below
    assert "prov" not in below
    assert not any(code.startswith("oth") for code in below)
    assert terminology.ancestors(REASONS, "oth-weath") == frozenset({"oth-weath", "other"})


def test_a_hierarchy_of_three_levels_is_walked_to_its_end() -> None:
    assert terminology.ancestors(ISSUES, "deleted") == frozenset({"deleted", "not-found", "processing"})
    below = terminology.descendants(ISSUES, "processing")
    assert below is not None
    assert "deleted" in below


def test_a_flat_code_is_its_own_family() -> None:
    assert terminology.descendants("http://hl7.org/fhir/slotstatus", "free") == frozenset({"free"})


def test_what_is_not_known_is_none_and_not_empty() -> None:
    assert not terminology.known_code_system("https://example.org/none")
    assert terminology.display("https://example.org/none", "x") is None
    assert terminology.display(REASONS, "none") is None
    assert terminology.descendants(REASONS, "none") is None
    assert terminology.ancestors("https://example.org/none", "x") is None
    assert terminology.value_set_codes("https://example.org/none") is None
    assert terminology.value_set_url("none") is None


def test_the_version_of_a_canonical_is_not_looked_at() -> None:
    plain = terminology.value_set_codes(SLOT_STATUS)
    assert plain is not None
    assert len(plain) == 5
    assert terminology.value_set_codes(f"{SLOT_STATUS}|4.0.1") == plain
    assert terminology.value_set_url("slotstatus") == SLOT_STATUS


def test_what_is_excluded_is_not_in_the_value_set() -> None:
    """FR Core's uses of a patient's internal identifier: all but official."""
    codes = terminology.value_set_codes(
        "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-patient-identifier-use-pi"
    )
    assert codes == frozenset((IDENTIFIER_USE, code) for code in ("usual", "temp", "secondary", "old"))


def test_a_value_set_of_a_branch_has_that_branch_only() -> None:
    codes = terminology.value_set_codes("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")
    assert codes is not None
    assert {code for _, code in codes} >= {"AMB", "HH", "VR"}


def test_no_value_set_takes_the_whole_of_what_is_held_in_part() -> None:
    """Its expansion would pass for complete, and a code of its publisher's would be refused."""
    partial = {url for url, system in catalogue().items() if system.content == "fragment"}
    assert partial
    for url, value_set in value_set_catalogue().items():
        for part in value_set.compose["include"]:
            if part.get("system") in partial:
                assert "concept" in part or "filter" in part, url


def test_every_parent_is_a_code_of_its_system() -> None:
    for system in catalogue().values():
        for concept in system.concepts.values():
            assert set(concept.parents) <= set(system.concepts), (system.url, concept.code)


def test_every_value_set_has_codes_with_labels() -> None:
    for url in value_set_catalogue():
        members = expansion(url)
        assert members, url
        assert all(member.display for member in members), url


def test_resources_have_ids_of_their_own() -> None:
    for resources in (terminology.code_systems(), terminology.value_sets()):
        ids = [resource["id"] for resource in resources]
        assert len(ids) == len(set(ids))


def test_every_resource_is_valid_r4() -> None:
    for resource in (*terminology.code_systems(), *terminology.value_sets()):
        assert [issue.en for issue in validate(resource)] == [], resource["url"]


def test_the_models_of_r4b_read_every_resource() -> None:
    for resource in terminology.code_systems():
        CodeSystemModel.model_validate(resource)
    for resource in terminology.value_sets():
        ValueSetModel.model_validate(resource)


def test_a_required_binding_means_the_codes_that_validation_accepts() -> None:
    """One truth: what is refused on a write is what the value set does not have."""
    compared = 0
    for type_name, elements in bindings().items():
        for name, (strength, canonical) in elements.items():
            codes = terminology.value_set_codes(canonical)
            element = type_definition(type_name).by_name.get(name)
            if strength != "required" or codes is None or element is None:
                continue
            assert element.codes == frozenset(code for _, code in codes), (type_name, name)
            compared += 1
    assert compared > 35


@pytest.mark.parametrize("name", ["Slot", "Appointment", "AppointmentParticipant", "Patient", "Subscription"])
def test_every_required_code_of_ours_can_be_looked_up(name: str) -> None:
    """No required binding of these types is to a value set that is not held."""
    for element, (strength, canonical) in bindings()[name].items():
        if strength == "required" and "mimetypes" not in canonical:
            assert terminology.value_set_codes(canonical), element


# --- Our own codes --------------------------------------------------------------------------------


def test_every_code_of_our_outcomes_is_in_our_code_system() -> None:
    """A client that reads issue.details.coding can look the code up."""
    own = catalogue()[ISSUE_SYSTEM].concepts
    used = used_codes()
    assert len(used) > 40, "the codes were found in the source"
    for pattern in used:
        assert any(re.fullmatch(pattern, code) for code in own), pattern


def test_every_code_of_our_system_says_what_it_means_in_both_languages() -> None:
    for url in (ISSUE_SYSTEM, "https://creneau.sante.fr/fhir/CodeSystem/access-level"):
        for concept in catalogue()[url].concepts.values():
            assert concept.display
            assert concept.english
            assert concept.english != concept.display, concept.code


def test_a_rule_of_fhir_is_a_code_of_ours() -> None:
    """The validator names R4's invariants by their keys."""
    own = catalogue()[ISSUE_SYSTEM].concepts
    assert {"app-1", "app-4", "ele-1", "ref-1", "dom-3", "type-date"} <= set(own)


# --- The lists it was made from -------------------------------------------------------------------


def published() -> list[Path]:
    return [
        path
        for path in sorted(LISTS.glob("*.json"))
        if path.name.startswith(("TRE_", "fhir-", "fr-core-", "sas-"))
    ]


@pytest.mark.official
@pytest.mark.skipif(not LISTS.is_dir(), reason=f"the French code lists are not at {LISTS}")
def test_codes_and_labels_are_those_that_were_published() -> None:
    compared = 0
    for path in published():
        listed: dict[str, Any] = json.loads(path.read_bytes())
        held = catalogue()[listed["system"]]
        assert held.content == ("complete" if listed["complete"] else "fragment"), path.name
        expected = {concept["code"]: concept["display"] for concept in listed["concepts"]}
        assert {code: concept.display for code, concept in held.concepts.items()} == expected, path.name
        compared += 1
    assert compared > 50


def test_a_type_that_is_bound_exists() -> None:
    """The table of bindings names types and elements that the definitions have."""
    for type_name, elements in bindings().items():
        try:
            known = type_definition(type_name)
        except UnknownTypeError:
            pytest.fail(f"{type_name} is no type of R4")
        names = {*known.by_name, *known.choices}
        assert set(elements) <= names, type_name
