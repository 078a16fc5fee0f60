"""SOS Médecins: which searches of Schedule are theirs, what they must say, and what of a centre is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.views.sas.sos import (
    STRUCTURES,
    SosView,
    check,
    is_sos,
    of_slots,
    sos_location,
    sos_organization,
    sos_slot,
)
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.normal_form import normal_form
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.security.principal import ANONYMOUS

NATIONAL = "urn:oid:1.2.250.1.71.4.2.2"
VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OFFICIAL = (
    "_revinclude=Slot:schedule&_include=Schedule:actor:Location&_include:iterate=Location:organization"
    "&_has:Slot:schedule:start=ge2023-08-18T10:00:00%2B02:00&_has:Slot:schedule:start=le2023-08-20T09:00:00%2B02:00"
    f"&_has:Slot:schedule:status=free&actor:Location.organization.identifier={NATIONAL}|334173748400020,"
    f"{NATIONAL}|340426662900033"
)


def pairs(query: str = OFFICIAL) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def test_the_search_of_schedule_is_one_of_slots_whose_criteria_hold_together() -> None:
    """Check 8."""
    assert is_sos(pairs())
    meant = of_slots(pairs())
    assert [text for name, text in meant if name == "start"] == [
        "ge2023-08-18T10:00:00+02:00",
        "le2023-08-20T09:00:00+02:00",
    ]
    assert ("status", "free") in meant
    assert dict(meant)[f"schedule.{STRUCTURES}"] == dict(pairs())[STRUCTURES]


def test_14_nothing_between_two_commas_asks_for_no_centre() -> None:
    """A system without a number would mean every structure that has one of it."""
    assert conditions(f"{OFFICIAL},, ") == conditions(OFFICIAL)


def conditions(query: str) -> str:
    known = ("Slot", "Schedule", "Location", "Organization")
    now = datetime(2023, 8, 1, tzinfo=UTC)
    return normal_form(parse_search("Slot", of_slots(pairs(query)), known_types=known, now=now).conditions)


@pytest.mark.parametrize(
    "query",
    [
        "actor:Location.organization.identifier=x&_revinclude=Slot:schedule",
        "_has:Slot:schedule:status=free",
        OFFICIAL + "&_profile=https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-schedule",
    ],
)
def test_other_searches_of_schedule_keep_the_stored_bytes(query: str) -> None:
    assert not is_sos(pairs(query))


@pytest.mark.parametrize(
    ("query", "where"),
    [
        (OFFICIAL.replace("_has:Slot:schedule:start=ge", "x=ge"), "_has:Slot:schedule:start"),
        (OFFICIAL.replace("_has:Slot:schedule:start=le", "x=le"), "_has:Slot:schedule:start"),
        (OFFICIAL.replace("status=free", "status=busy"), "_has:Slot:schedule:status"),
        (OFFICIAL.replace(f"{NATIONAL}|3404", "3404"), STRUCTURES),
        (OFFICIAL + f",{NATIONAL}|300000000000000" * 24, STRUCTURES),
    ],
)
def test_each_mandatory_criterion_is_missed(query: str, where: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(pairs(query))
    assert refusal.value.issues[0].expression == (f"http.{where}",)
    check(pairs())


def test_the_regulation_asking_without_structures_is_told_so() -> None:
    without = [pair for pair in pairs() if pair[0] != STRUCTURES]
    assert is_sos(without, by_regulator=True)
    assert not is_sos(without)
    with pytest.raises(BadRequest):
        check(without)


def slot(*labels: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Slot",
        "id": "s",
        "meta": {"security": [{"system": SLOT_TYPE_SYSTEM, "code": label} for label in labels]},
        "schedule": {"reference": "Schedule/a"},
        "status": "free",
        "start": "2026-12-01T08:00:00Z",
        "end": "2026-12-01T08:20:00Z",
        **more,
    }


def test_10_slots_are_open_to_all_or_to_the_regulation_and_their_visits_coded() -> None:
    reasons = [{"coding": [{"system": VISIT, "code": "AMB"}], "text": "Au centre"}, {"text": "Fièvre"}]
    found = sos_slot(slot("PUBLIC", "SNP", serviceType=reasons))
    assert found is not None
    assert found["serviceType"] == [{"coding": [{"system": VISIT, "code": "AMB"}]}]
    assert sos_slot(slot("PRO")) is None
    assert sos_slot(slot("PUBLIC", "CPTS")) is None
    assert sos_slot(slot("PUBLIC", status="busy")) is None
    bare = sos_slot(slot("SNP", serviceType=[{"text": "Fièvre"}]))
    assert bare is not None
    assert "serviceType" not in bare
    for other in ("EMER", "PATDOC"):
        unheard = sos_slot(slot("SNP", serviceType=[{"coding": [{"system": VISIT, "code": other}]}]))
        assert unheard is not None
        assert [issue for issue in profile_issues(unheard) if issue.severity == "error"] == []


def test_12_13_a_centre_has_an_internal_number_and_its_structure_a_siret() -> None:
    """Whatever else they are known by; without a SIRET, or without a name, the profiles cannot be met."""
    place: dict[str, Any] = {
        "resourceType": "Location",
        "id": "l",
        "name": "Centre",
        "address": {"line": ["1 rue de l'Essai", "2e étage"], "city": "Rennes", "postalCode": "35 000"},
    }
    found = sos_location(place, "Organization/o", "https://creneau.example/fhir/Location")
    assert found is not None
    assert found["identifier"][0]["type"]["coding"][0]["code"] == "INTRN"
    assert found["address"] == {
        "line": ["1 rue de l'Essai, 2e étage"],
        "city": "Rennes",
        "postalCode": "35000",
    }
    assert sos_location({**place, "name": ""}, "Organization/o", "urn:x") is None
    structure = {"resourceType": "Organization", "id": "o", "name": "SOS Médecins"}
    finess = {"system": "https://finess.esante.gouv.fr", "value": "350000001"}
    siret = {"system": "https://sirene.fr", "value": "341 737 484 00020"}
    sent = sos_organization(structure | {"identifier": [finess, siret]})
    assert sent is not None
    assert [identifier["value"] for identifier in sent["identifier"]] == ["334173748400020"]
    assert sos_organization(structure | {"identifier": [finess]}) is None


NOW = datetime(2026, 12, 1, 6, tzinfo=UTC)
BASE = "https://creneau.example/fhir"
AGENDA: dict[str, Any] = {
    "resourceType": "Schedule",
    "id": "a",
    "actor": [{"reference": "Location/l"}],
}
CENTRE: dict[str, Any] = {
    "resourceType": "Location",
    "id": "l",
    "name": "Centre",
    "address": {"line": ["1 rue de l'Essai"], "city": "Rennes", "postalCode": "35000"},
    "managingOrganization": {"reference": "Organization/o"},
}
STRUCTURE: dict[str, Any] = {
    "resourceType": "Organization",
    "id": "o",
    "identifier": [{"system": "https://sirene.fr", "value": "34173748400020"}],
}


def row(resource: dict[str, Any]) -> Row:
    return Row(resource["resourceType"], resource["id"], 1, NOW, dumps(resource))


def answer(*slots: dict[str, Any], graph: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    view, known = SosView(), ("Slot", "Schedule", "Location", "Organization")
    request = FhirRequest(
        method="GET",
        path=("Schedule",),
        query=pairs(),
        raw_query=OFFICIAL,
        headers={},
        body=b"",
        principal=ANONYMOUS,
        now=NOW,
        base_url=BASE,
    )
    asked = parse_search("Slot", view.pairs(request), known_types=known, now=NOW, base_url=BASE)
    found = SearchResult(tuple(map(row, slots)), tuple(map(row, graph)), len(slots), None, None, ())
    bundle: dict[str, Any] = loads(view.bundle(request, asked, found))
    return bundle


def test_what_a_centre_keeps_for_patients_whom_it_knows_is_not_sent() -> None:
    rules = "https://creneau.sante.fr/fhir/StructureDefinition/"
    only = {"extension": [{"url": f"{rules}schedule-known-patients-only", "valueBoolean": True}]}
    for_all = {"extension": [{"url": f"{rules}slot-new-patients", "valueBoolean": True}]}
    graph = (AGENDA, CENTRE, STRUCTURE)
    assert answer(slot("SNP"), graph=graph)["total"] == 1
    assert answer(slot("SNP"), graph=(AGENDA | only, *graph[1:]))["total"] == 0
    assert answer(slot("SNP", **for_all), graph=(AGENDA | only, *graph[1:]))["total"] == 1
