"""What is written for a resource, so that it can be found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from creneau_shared.fhir.search.index import IndexEntries, Position, StringEntry, index_resource
from creneau_shared.fhir.search.layout import key_of
from creneau_shared.fhir.search.registry import REGISTRY
from creneau_shared.fhir.search.terms import bounded, identifier_terms

_OFFICIAL = Path(__file__).parents[4] / "shared" / "fhir"


def index(kind: str, **elements: Any) -> IndexEntries:
    """The entries of a resource of these elements."""
    return index_resource(kind, {"resourceType": kind, **elements}, base_url="https://own/fhir")


def terms(kind: str, name: str, **elements: Any) -> set[str]:
    """The terms of one parameter."""
    entries = index(kind, **elements)
    found = entries.terms + entries.traits
    return {term for term in found if term.partition("=")[0].partition(":")[0] == name}


def test_token_terms() -> None:
    """Presence, code, system and code, system; a code without system says so."""
    coding = [{"system": "s", "code": "a", "display": "Été"}, {"code": "b"}]
    entries = index("Slot", serviceType=[{"coding": coding, "text": "Libre"}])
    assert set(entries.terms) == {
        "service-type", "service-type=a", "service-type=s|a", "service-type=s|", "service-type=b", "service-type=|b",
    }  # fmt: skip
    assert set(entries.strings) == {
        StringEntry("service-type:text", "ete", "Été"),
        StringEntry("service-type:text", "libre", "Libre"),
    }


def test_a_narrow_type_has_keys_in_its_index_and_the_rest_beside_it() -> None:
    """What tells few appointments apart costs no entry in an index; each of it has a key that finds it."""
    coding = [{"system": "s", "code": "a", "display": "Été"}, {"code": "b|c"}]
    patient, doctor = ({"actor": {"reference": f"{kind}/1"}} for kind in ("Patient", "Practitioner"))
    entries = index(
        "Appointment", status="booked", serviceType=[{"coding": coding}], participant=[patient, doctor]
    )
    assert set(entries.terms) == {
        "status=booked", "service-type=a", "actor=Patient/1", "patient=Patient/1", "actor=Practitioner/1",
    }  # fmt: skip
    assert set(entries.traits) == {
        "service-type=s|a", "service-type=b\\|c", "service-type=|b\\|c", "practitioner=Practitioner/1",
        "service-type:text\x1fete\x1fÉté",
    }  # fmt: skip
    assert entries.strings == []
    keys = {trait: key_of(trait) for trait in entries.traits}
    assert {trait: key for trait, key in keys.items() if key is not None} == {
        "service-type=s|a": "service-type=a",
        "practitioner=Practitioner/1": "actor=Practitioner/1",
    }


def test_a_string_of_which_no_words_tell_keeps_its_row() -> None:
    """A display that is a URI or a date is no word of the resource: its index would not find it."""
    coding = [{"code": "a", "display": "urn:some:thing"}, {"code": "b", "display": "Suivi"}]
    entries = index("Appointment", status="booked", serviceType=[{"coding": coding}])
    assert [entry.exact for entry in entries.strings] == ["urn:some:thing"]
    assert "service-type:text\x1fsuivi\x1fSuivi" in entries.traits


def test_bars_within_codes_are_escaped() -> None:
    """`a|b` without system is not `b` of the system `a`."""
    assert "identifier=a\\|b" in terms("Slot", "identifier", identifier=[{"value": "a|b"}])


def test_identifier_type() -> None:
    """:of-type needs the type's coding and the value together."""
    identifier = {
        "system": "s",
        "value": "1",
        "type": {"coding": [{"system": "t", "code": "MR"}], "text": "Numéro"},
    }
    entries = index("Slot", identifier=[identifier])
    assert "identifier:of-type=t|MR|1" in entries.terms
    assert StringEntry("identifier:text", "numero", "Numéro") in entries.strings


def test_references_within_and_without_the_base() -> None:
    """The own base is dropped; a version is found with and without it; contained resources are not targets."""
    actors = [
        {"reference": "https://own/fhir/Practitioner/1/_history/2"},
        {"reference": "https://other/fhir/Location/2"},
        {"reference": "#p"},
        {"identifier": {"system": "s", "value": "v"}, "type": "Patient"},
    ]
    assert terms("Schedule", "actor", actor=actors) == {
        "actor", "actor=Practitioner/1/_history/2", "actor=Practitioner/1", "actor=https://other/fhir/Location/2",
        "actor:identifier=v", "actor:identifier=s|v", "actor:identifier=s|",
    }  # fmt: skip


def test_references_to_one_type() -> None:
    """`where(resolve() is Patient)` by the reference itself, by an absolute URL, or by its type."""
    participants = [
        {"actor": {"reference": "Patient/1"}},
        {"actor": {"reference": "https://other/Patient/2"}},
        {"actor": {"identifier": {"value": "x"}, "type": "Patient"}},
        {"actor": {"reference": "Location/3"}},
    ]
    assert terms("Appointment", "patient", participant=participants) == {
        "patient=Patient/1", "patient=https://other/Patient/2", "patient:identifier=x", "patient:identifier=|x",
    }  # fmt: skip
    assert "location=Location/3" in terms("Appointment", "location", participant=participants)


def test_contact_points_have_one_spelling() -> None:
    """E-mail in lower case, French numbers as +33, found by system and by use."""
    found = terms(
        "Patient", "telecom", telecom=[{"system": "phone", "use": "mobile", "value": "06.12.34.56.78"}]
    )
    assert found == {
        "telecom", "telecom=+33612345678", "telecom=phone|+33612345678", "telecom=phone|",
        "telecom=mobile|+33612345678", "telecom=mobile|",
    }  # fmt: skip
    email = [{"system": "email", "value": "Anne@Exemple.FR"}]
    assert "email=anne@exemple.fr" in terms("Patient", "email", telecom=email)
    assert terms("Patient", "phone", telecom=email) == set()


def test_deceased_is_always_known() -> None:
    """The expression is false, not empty, when the element is absent."""
    assert terms("Patient", "deceased") == {"deceased", "deceased=false"}
    assert terms("Patient", "deceased", deceasedBoolean=False) == {"deceased", "deceased=false"}
    assert terms("Patient", "deceased", deceasedBoolean=True) == {"deceased", "deceased=true"}
    assert terms("Patient", "deceased", deceasedDateTime="2020") == {"deceased", "deceased=true"}


def test_sas_offer_of_a_slot() -> None:
    """The reference within the extension of serviceType (CPTS)."""
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Slot.serviceType"
    extension = [
        {"url": url, "valueReference": {"reference": "HealthcareService/1"}},
        {"url": "x", "valueCode": "y"},
    ]
    found = terms("Slot", "service-type-reference", serviceType=[{"extension": extension}])
    assert found == {"service-type-reference", "service-type-reference=HealthcareService/1"}


def test_dates_numbers_position() -> None:
    """Instants are points; partial dates and periods are intervals; positions are degrees."""
    entries = index("Appointment", start="2026-12-01T09:00:00+01:00", created="2026", priority=0)
    low, high = {entry.parameter: (entry.low, entry.high) for entry in entries.dates}["date"]
    assert (low, (high - low).microseconds) == (datetime(2026, 12, 1, 8, tzinfo=UTC), 1)
    assert {entry.parameter for entry in entries.dates} == {"date", "created"}
    assert [(entry.parameter, int(entry.value)) for entry in entries.numbers] == [("priority", 0)]
    assert index("Location", position={"latitude": 1, "longitude": 2.5}).position == Position(1.0, 2.5)


def test_unreadable_values_give_no_entry() -> None:
    """An index is made of what can be read; validation is somebody else's."""
    entries = index("Appointment", start="soon", priority="high", created={})
    assert (entries.dates, entries.numbers) == ([], [])
    assert "date" not in entries.terms


def test_long_values_fit_the_index() -> None:
    """A GIN index cannot hold 3 kB in one entry."""
    long = "x" * 5_000
    found = index("Slot", identifier=[{"system": "s", "value": long}]).terms
    assert max(map(len, found)) <= 600
    assert bounded(f"identifier={long}") in found


@pytest.mark.official
def test_official_examples_against_fhirpath() -> None:
    """Which parameters a resource has values for is what a FHIRPath engine says, on every official example."""
    if not _OFFICIAL.is_dir():
        pytest.skip("the official examples (../shared/fhir) are not beside the repository")
    fhirpathpy = pytest.importorskip("fhirpathpy")
    compared = 0
    for file in sorted(_OFFICIAL.glob("r4/*/*.json")):
        resource = json.loads(file.read_bytes())
        kind: str = resource.get("resourceType", "") if isinstance(resource, dict) else ""
        if kind not in REGISTRY:
            continue
        entries = index_resource(kind, resource)
        present = {said.partition("=")[0] for said in (*entries.terms, *entries.traits)}
        for parameter in REGISTRY[kind].values():
            expression = parameter.expression
            if parameter.name in ("_id", "_lastUpdated") or not expression:
                continue
            if "resolve()" in expression or " as " in expression:
                continue
            expected = bool(fhirpathpy.evaluate(resource, expression))
            assert (parameter.index_name in present) == expected, (file.name, parameter.name)
            compared += 1
    assert compared > 1_000


def test_a_trait_of_which_another_tells_is_left_out() -> None:
    """That there is a status is told by its code; that there is a date or a text, by nothing else."""
    entries = index(
        "Appointment", status="booked", start="2026-12-01T09:00:00Z", serviceType=[{"text": "Sport"}]
    )
    assert {trait for trait in entries.traits if "\x1f" not in trait} == {"date", "service-type"}


def test_a_subject_who_is_a_patient_is_found_as_one() -> None:
    """The index holds a communication's patient once; its subject is looked at among those."""
    patient, other = index("Communication", subject={"reference": "Patient/1"}), "https://other/Patient/1"
    assert [term for term in patient.terms if "Patient/1" in term] == ["patient=Patient/1"]
    assert key_of("subject=Patient/1") == "patient=Patient/1"
    assert f"subject={other}" in index("Communication", subject={"reference": other}).terms


@pytest.mark.parametrize("system", [None, "", "urn:oid:1.2.250.1.71.4.2.1", "urn:oid:1.2.250.1.213.1.4.8"])
def test_an_identifier_without_a_value_is_nobodys(system: str | None) -> None:
    """`system|` is a term of everybody who has a number of that system."""
    assert identifier_terms(system, "") == []


def test_a_national_number_is_found_with_its_blanks_and_without() -> None:
    siret = {"system": "https://sirene.fr", "value": "77 480 085 838 565"}
    own = {"system": "urn:cabinet", "value": "12 34"}
    assert terms("Organization", "identifier", identifier=[siret, own]) >= {
        "identifier=https://sirene.fr|77 480 085 838 565", "identifier=https://sirene.fr|77480085838565",
        "identifier=77480085838565", "identifier=urn:cabinet|12 34",
    }  # fmt: skip
    assert "identifier=urn:cabinet|1234" not in terms("Organization", "identifier", identifier=[siret, own])
    named = terms("Location", "organization", managingOrganization={"identifier": siret})
    assert "organization:identifier=https://sirene.fr|77480085838565" in named
