"""The ROR's model: official examples come back as they were, facets are demanded (6.6.20 to 22), capacities patched (6.6.24)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services.directory.tests.conftest import Directory
from services.directory.tests.ror import (
    R13,
    R211,
    R213,
    R227,
    R238,
    R283,
    R329,
    R330,
    R331,
    R335,
    R337,
    ROR,
    RorGraph,
    capacity,
    concept,
    offer,
    patients,
    said,
)
from services.directory.tests.test_directory import unique
from shared.tests.fhir.official import ROOT as OFFICIAL

import creneau_french
from creneau_directory.domain.communes import StatedCommune, is_commune_code, remark_on
from creneau_directory.domain.identifiers import finess_key_holds
from creneau_directory.domain.ror.facets import facet_faults
from creneau_french.communes import commune_position
from creneau_shared.fhir.profiles import profile_issues

SHARED = OFFICIAL
FOLDERS = ("ror/coherent-set", "ror/examples-hand", "annuaire/examples", "frcore-2.2.0/examples")
TYPES = {
    "Organization",
    "Location",
    "HealthcareService",
    "Practitioner",
    "PractitionerRole",
    "Endpoint",
    "Device",
}
LACKS_ITS_CARE_MODE = "HealthcareService-1234564.json"
"""the one official example that its own profile refuses, as the guide's index says"""


def official() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((SHARED / folder).glob("*.json")):
            if path.name.partition("-")[0] in TYPES and path.name != LACKS_ITS_CARE_MODE:
                yield path


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the official examples are not at {SHARED}")
async def test_the_official_examples_come_back_unchanged(directory: Directory) -> None:
    """ROR, Annuaire Santé and FR Core: each is stored, and read as it was but for its version and hour."""
    paths = list(official())
    assert len(paths) > 40
    for path in paths:
        written = json.loads(path.read_bytes())
        answer = await directory.put(written)
        assert answer.status_code in (200, 201), (path.name, answer.text)
        read = (await directory.client.get(f"/fhir/{written['resourceType']}/{written['id']}")).json()
        for one in (written, read):
            one["meta"] = {
                k: v for k, v in one.get("meta", {}).items() if k not in ("versionId", "lastUpdated")
            }
        assert read == written, path.name


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the official examples are not at {SHARED}")
async def test_the_example_without_care_mode_is_told_so(directory: Directory) -> None:
    resource = json.loads((SHARED / "ror/examples-hand" / LACKS_ITS_CARE_MODE).read_bytes())
    answer = await directory.put(resource)
    [issue] = answer.json()["issue"]
    assert (answer.status_code, issue["expression"]) == (422, ["HealthcareService.characteristic"])
    assert "TRE_R213" in issue["details"]["text"]


def an_offer() -> dict[str, Any]:
    return offer(unique("offre"), "52/1", "437", patients(0, 120))


def without(resource: dict[str, Any], *path: str | int) -> dict[str, Any]:
    """A copy without one element."""
    left = copy.deepcopy(resource)
    holder: Any = left
    for part in path[:-1]:
        holder = holder[part]
    del holder[path[-1]]
    return left


@pytest.mark.parametrize(
    ("path", "facet"),
    [
        (("identifier",), "identifiantOffre"),
        (("type",), "champActivite"),
        (("specialty",), "activiteOperationnelle"),
        (("characteristic",), "modePriseEnCharge"),
        (("extension", 0), "uniteSensible"),
        (("extension", 1), "patientele"),
        (("extension", 1, "extension", 0), "trancheAge"),
        (("extension", 2), "metaCreationDate"),
    ],
)
def test_6_6_20_facets_of_an_offer(path: tuple[str | int, ...], facet: str) -> None:
    """Each facet of the profile is demanded, of what claims the profile and of nothing else."""
    resource = an_offer()
    assert list(facet_faults(resource)) == []
    lacking = without(resource, *path)
    assert [fault.facet for fault in facet_faults(lacking)] == [facet]
    assert list(facet_faults({**lacking, "meta": {}})) == []


def test_6_6_20_facets_of_a_situation() -> None:
    """One professional, one offer, one profession, the mode of exercise, the kind of expertise."""
    graph = RorGraph(directory=None)  # type: ignore[arg-type]
    role = graph.resources()[-1]
    assert list(facet_faults(role)) == []
    for element, facet in (
        ("practitioner", "professionnel"),
        ("healthcareService", "offreOperationnelle"),
        ("code", "profession"),
        ("specialty", "typeSavoirFaire"),
    ):
        assert [fault.facet for fault in facet_faults(without(role, element))] == [facet]
    twice = {**role, "healthcareService": role["healthcareService"] * 2}
    assert [(f.facet, f.problem) for f in facet_faults(twice)] == [("offreOperationnelle", "repeated")]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"type": [{"text": "n'importe quoi"}]}, ("champActivite", "unlisted")),
        ({"type": [concept(R227, "99")]}, ("champActivite", "unlisted")),
        ({"category": [concept("urn:x", "62")]}, ("typeOffre", "unlisted")),
        ({"characteristic": [concept(R213, "ZZ")]}, ("modePriseEnCharge", "unlisted")),
        (
            {"characteristic": [concept(R213, "32"), concept(R238, "01"), concept(R238, "02")]},
            ("ouvertureAnnuelle", "repeated"),
        ),
    ],
)
def test_6_6_20_a_facet_is_a_code_of_its_list(change: dict[str, Any], fault: tuple[str, str]) -> None:
    """Words alone are none, nor is a code that the list does not have."""
    assert [(found.facet, found.problem) for found in facet_faults(an_offer() | change)] == [fault]


def test_6_6_20_what_is_known_in_part_is_not_refused() -> None:
    """Activities (TRE_R211) are held in part: a code that is not among them may be a new one."""
    assert list(facet_faults(an_offer() | {"specialty": [concept(R211, "99999")]})) == []


def test_6_6_20_every_contact_says_its_channel_and_its_level() -> None:
    """Those of an organisation's contacts and of an offer's, too: without a level they would be everybody's."""
    parts = [{"url": "telecomAddress", "valueString": "0100000001"}]
    telecom = {"url": f"{ROR}ror-healthcareservice-contact-telecom", "extension": parts}
    unit = an_offer()
    unit["extension"].append({"url": f"{ROR}ror-healthcareservice-contact", "extension": [telecom]})
    assert [fault.facet for fault in facet_faults(unit)] == ["canal", "niveauConfidentialite"]
    organization = {
        "resourceType": "Organization",
        "meta": {"profile": [f"{ROR}ror-organization"]},
        "extension": unit["extension"][2:3],
        "contact": [
            {"purpose": {"text": "Standard"}, "telecom": [{"system": "phone", "value": "0100000001"}]}
        ],
    }
    where = "contact[0].telecom[0].extension"
    assert [(f.element, f.facet) for f in facet_faults(organization)] == [
        (where, "canal"),
        (where, "niveauConfidentialite"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"valueCodeableConcept": {"text": "confidentiel"}},
        {"valueCodeableConcept": {"coding": [{"system": R283, "display": "3"}]}},
        {"valueCodeableConcept": concept("urn:x", "1")},
        {"valueInteger": 3},
    ],
)
def test_6_6_20_a_facet_in_an_extension_is_a_code_of_its_list_too(value: dict[str, Any]) -> None:
    """Of a contact its channel and its level, of a situation its mode of exercise."""
    names = ("ror-telecom-communication-channel", "ror-telecom-confidentiality-level")
    unit = an_offer() | {
        "telecom": [{"value": "0100000001", "extension": [said(name, **value) for name in names]}]
    }
    assert [(fault.facet, fault.problem) for fault in facet_faults(unit)] == [
        ("canal", "unlisted"),
        ("niveauConfidentialite", "unlisted"),
    ]
    graph = RorGraph(directory=None)  # type: ignore[arg-type]
    role = graph.resources()[-1]
    others = [one for one in role["extension"] if not one["url"].endswith("exercise-mode")]
    role["extension"] = [*others, said("ror-practitionerrole-unit-exercise-mode", **value)]
    assert [(f.facet, f.problem) for f in facet_faults(role)] == [("modeExercice", "unlisted")]


def test_6_6_20_what_a_situation_and_a_professional_have_once_or_never() -> None:
    graph = RorGraph(directory=None)  # type: ignore[arg-type]
    role = graph.resources()[-1]
    twice = {"identifier": [{"value": "1"}, {"value": "2"}], "availableTime": [{"allDay": True}] * 2}
    assert [(f.facet, f.problem) for f in facet_faults(role | twice)] == [
        ("identifiantSituation", "repeated"),
        ("horaire", "repeated"),
    ]
    assert [(f.facet, f.problem) for f in facet_faults(role | {"code": [{"text": "médecin"}]})] == [
        ("profession", "unlisted")
    ]
    person = {
        "resourceType": "Practitioner",
        "meta": {"profile": [f"{ROR}ror-practitioner"]},
        "extension": [one for one in role["extension"] if one["url"].endswith("creation-date")],
        "identifier": [
            {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "810101010107"},
            {"system": "https://rpps.esante.gouv.fr", "value": "10101010107"},
        ],
    }
    assert [(f.element, f.problem) for f in facet_faults(person)] == [("identifier[1]", "excluded")]


async def test_6_6_20_a_missing_facet_is_refused_and_named(directory: Directory) -> None:
    answer = await directory.put(without(an_offer(), "characteristic"))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "ror-facet"
    stored = an_offer()
    assert (await directory.put(stored)).status_code == 201
    read = (await directory.client.get(f"/fhir/HealthcareService/{stored['id']}")).json()
    assert read["meta"]["lastUpdated"]


def place(*extensions: dict[str, Any], **members: Any) -> dict[str, Any]:
    cog = {"url": f"{ROR}ror-commune-cog", "valueCodeableConcept": concept(R13, "44109")}
    created = {"url": f"{ROR}ror-meta-creation-date", "valueDateTime": "2025-01-10T09:00:00+01:00"}
    return {
        "resourceType": "Location",
        "id": unique("lieu"),
        "meta": {"profile": [f"{ROR}ror-location"]},
        "extension": [cog, created, *extensions],
        **members,
    }


def test_6_6_21_a_place_says_its_commune() -> None:
    assert [fault.facet for fault in facet_faults(without(place(), "extension", 0))] == ["communeCog"]


@pytest.mark.parametrize(
    ("code", "form", "postal", "remark"),
    [
        ("44109", True, "44000", None),
        ("2A004", True, "20000", None),
        ("97411", True, "97400", None),
        ("75115", True, "75015", None),
        ("75056", True, "75116", None),
        ("01059", True, "01000", "unknown"),
        ("44109", True, "35000", "postal-code"),
        ("44109", True, "44043", None),
        ("2C001", False, None, None),
        ("4410", False, None, None),
        ("99000", False, None, None),
    ],
)
def test_codes_of_communes(code: str, form: bool, postal: str | None, remark: str | None) -> None:
    """Corsica, overseas, arrondissements; several postal codes, CEDEX; what has merged is remarked on, the rest refused."""
    assert is_commune_code(code) is form
    if form:
        assert remark_on(StatedCommune("address", code, postal)) == remark


def test_keys_of_finess() -> None:
    assert finess_key_holds("010000024")
    assert not finess_key_holds("010000025")


async def test_a_wrong_commune_is_refused_an_old_one_remarked_on(directory: Directory) -> None:
    wrong = place()
    wrong["extension"][0]["valueCodeableConcept"] = concept(R13, "2C001")
    answer = await directory.put(wrong)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (
        422,
        "insee-code",
    )
    wrong["extension"][0]["valueCodeableConcept"] = concept(R13, "01059")
    answer = await directory.put(wrong)
    assert answer.status_code == 201
    assert "01059" in answer.headers["Warning"]


async def test_keys_of_a_register_are_told_of_to_the_deployment_and_refused_of_a_practice(
    directory: Directory,
) -> None:
    """The rule of keys (`domain.identifiers`)."""
    practice = unique("org")
    profile = {"profile": ["https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-organization"]}
    resource = {
        "resourceType": "Organization", "id": practice, "meta": profile, "name": "Centre",
        "identifier": [{"system": "https://sirene.fr", "value": "26350007609999"}],
    }  # fmt: skip
    answer = await directory.put(resource)
    assert answer.status_code == 201, answer.text
    assert "26350007609999" in answer.headers["Warning"]
    assert (await directory.put(resource, directory.staff(practice))).status_code == 422
    assert (await directory.put(without(resource, "meta"))).status_code == 422
    short = {**resource, "identifier": [{"system": "https://sirene.fr", "value": "26350007"}]}
    assert (await directory.put(short)).status_code == 422


async def test_6_6_22_closing_and_reopening(directory: Directory) -> None:
    """At most one, with its date; found by what it covers."""
    closing = {
        "id": "closingReopeningDate",
        "description": "Fermeture",
        "during": {"start": "2026-12-20", "end": "2027-01-04"},
    }
    resource = {**an_offer(), "notAvailable": [closing]}
    assert (await directory.put(resource)).status_code == 201
    found = await directory.ids(
        "HealthcareService", _id=resource["id"], **{"notavailable-closing-reopeningdate": "ge2027-01-01"}
    )
    assert found == [resource["id"]]
    for faulty in ([closing, closing], [{k: v for k, v in closing.items() if k != "during"}]):
        answer = await directory.put({**resource, "notAvailable": faulty})
        assert answer.status_code == 422
        assert "réouverture" in answer.json()["issue"][0]["details"]["text"]


def added(status: str, number: int, counted: str) -> dict[str, Any]:
    """FHIRPath Patch: one more capacity."""
    parts: dict[str, tuple[str, Any]] = {
        "capacityType": ("CodeableConcept", concept(R329, "01")),
        "capacityStatus": ("CodeableConcept", concept(R330, status)),
        "temporalityCapacity": ("CodeableConcept", concept(R331, "01")),
        "nbCapacity": ("Integer", number),
        "capacitySourceType": ("CodeableConcept", concept(R335, "01")),
        "capacityUpdateDate": ("DateTime", counted),
        "temporaryAssignement": ("CodeableConcept", concept(R337, "01")),
    }
    inner: list[dict[str, Any]] = [
        {
            "name": "extension",
            "part": [{"name": "url", "valueUri": url}, {"name": f"value{kind}", f"value{kind}": value}],
        }
        for url, (kind, value) in parts.items()
    ]
    whole = [{"name": "url", "valueUri": f"{ROR}ror-location-supported-capacity"}, *inner]
    return operation("add", "Location", name="extension", value=whole)


def operation(
    kind: str, path: str, *, name: str | None = None, value: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    part: list[dict[str, Any]] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    if name is not None:
        part.append({"name": "name", "valueString": name})
    if value is not None:
        part.append({"name": "value", "part": value})
    return {"name": "operation", "part": part}


async def test_6_6_24_a_carrier_patches_its_capacities(directory: Directory) -> None:
    """PATCH Location?identifier=…: add, replace, delete; 200 with ETag and Last-Modified; its own places only; dated anew."""
    practice, number = unique("org"), f"52/{unique('n')}"
    await directory.put({"resourceType": "Organization", "id": practice, "name": "Hôpital"})
    at = place(
        capacity("01", 20, "2026-11-01T08:00:00Z"),
        identifier=[{"value": number}],
        managingOrganization={"reference": f"Organization/{practice}"},
    )
    assert (await directory.put(at)).status_code == 201

    async def patch(*operations: dict[str, Any], token: str = directory.staff(practice)) -> Any:
        return await directory.client.patch(
            "/fhir/Location", params={"identifier": number},
            json={"resourceType": "Parameters", "parameter": list(operations)},
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip

    answer = await patch(added("02", 3, "2026-11-16T08:00:00Z"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'
    assert answer.headers["Last-Modified"]
    assert await directory.ids(
        "Location", identifier=number, **{"capacity-status": "02", "nb-capacity": "3"}
    ) == [at["id"]]

    count = "Location.extension[3].extension.where(url='nbCapacity').value"
    counted = "Location.extension[3].extension.where(url='capacityUpdateDate').value"
    undated = {**operation("replace", count)}
    undated["part"].append({"name": "value", "valueInteger": 2})
    answer = await patch(undated)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (
        422,
        "capacity-date",
    )
    dated = operation("replace", counted)
    dated["part"].append({"name": "value", "valueDateTime": "2026-11-16T08:02:00Z"})
    answer = await patch(undated, dated)
    assert answer.status_code == 200, answer.text
    future = operation("replace", counted)
    future["part"].append({"name": "value", "valueDateTime": "2027-01-01T08:00:00Z"})
    assert (await patch(undated, future)).status_code == 422
    lacking = operation("delete", "Location.extension[3].extension.where(url='capacityStatus')")
    answer = await patch(lacking)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (
        422,
        "ror-facet",
    )
    assert (
        await patch(operation("delete", "Location.extension[3]"), token=directory.staff("other"))
    ).status_code == 403
    answer = await patch(operation("delete", "Location.extension[3]"))
    assert answer.status_code == 200
    assert len(answer.json()["extension"]) == 3


async def test_6_6_20_validate_knows_the_facets(directory: Directory) -> None:
    """`$validate` says of a resource what a write of it would be refused for, whether it claims the profile or is asked of it;
    /metadata names the profile."""
    offer = {"resourceType": "HealthcareService", "name": "Urgences"}
    claiming = {**offer, "meta": {"profile": [f"{ROR}ror-healthcareservice"]}}
    for body, query in ((claiming, ""), (offer, f"?profile={ROR}ror-healthcareservice")):
        answer = await directory.client.post(f"/fhir/HealthcareService/$validate{query}", json=body)
        assert answer.status_code == 200, answer.text
        told = {issue["details"]["text"] for issue in answer.json()["issue"] if issue["severity"] == "error"}
        assert any("activité opérationnelle" in text for text in told), told
        assert any("tranche d'âge" in text or "patientèle" in text for text in told), told
    answer = await directory.client.post("/fhir/HealthcareService/$validate", json=offer)
    assert [issue["severity"] for issue in answer.json()["issue"]] == ["information"]
    served = (await directory.client.get("/fhir/metadata")).json()["rest"][0]["resource"]
    profiles = {one["type"]: one.get("supportedProfile", []) for one in served}
    assert f"{ROR}ror-healthcareservice" in profiles["HealthcareService"]
    assert f"{ROR}ror-practitionerrole" in profiles["PractitionerRole"]


def test_an_arrondissement_is_where_it_is() -> None:
    """Not all of them in the middle of the city: within three kilometres of the 15th is not the 11th."""
    places = {code: commune_position(code) for code in ("75056", "75111", "75115", "13055", "13208", "69389")}
    assert len(set(places.values())) == len(places)
    assert places["75115"] == pytest.approx((48.84, 2.29), abs=0.005)


def held_here() -> list[tuple[str, dict[str, Any]]]:
    """The rows of whole elements that the served definitions leave to the directory: (type, row)."""
    return [
        (profile["type"], row)
        for profile in creneau_french.profiles()
        if profile["url"].startswith(ROR)
        for row in profile["elements"]
        if row.get("heldBy") == "directory" and row["id"].count(".") == 1
    ]


def selected(kind: str, row: dict[str, Any], items: list[Any]) -> list[Any]:
    """The values that a row is about: an extension by its url, a slice by the system that a row below states."""
    profiles = [url for type_ in row.get("type", ()) for url in type_.get("profile", ())]
    if profiles:
        return [one for one in items if one["url"] == profiles[0]]
    below = f"{row['id']}."
    rows = (
        one for profile in creneau_french.profiles() if profile["type"] == kind for one in profile["elements"]
    )
    stated = [one["patternUri"] for one in rows if one["id"].startswith(below) and "patternUri" in one]
    return [one for one in items if stated[0] in json.dumps(one)] if stated else items


@pytest.mark.parametrize(("kind", "row"), held_here(), ids=lambda value: str(value)[:70])
def test_what_the_served_definition_leaves_to_the_directory_is_refused(
    kind: str, row: dict[str, Any]
) -> None:
    """An element that must stand there is missed, one that may stand there once is not taken twice, one that may not is not
    taken."""
    graph = RorGraph(directory=None)  # type: ignore[arg-type]
    resource = next(one for one in graph.resources() if one["resourceType"] == kind)
    if kind == "Practitioner":
        number = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "810101010107"}
        created = said("ror-meta-creation-date", valueDateTime="2025-01-10T09:00:00+01:00")
        resource |= {
            "meta": {"profile": [f"{ROR}ror-practitioner"]},
            "identifier": [number],
            "extension": [created],
        }
    assert not list(facet_faults(resource))
    element = row["id"].partition(".")[2].partition(":")[0]
    value = resource.get(element)
    items = value if isinstance(value, list) else [value] if value else []
    found = selected(kind, row, items)
    if row.get("min") == 1:
        assert found
        rest = [one for one in items if one not in found]
        assert list(facet_faults({**resource, element: rest} if rest else without(resource, element)))
    if row.get("max") == "1" and isinstance(value, list) and found:
        assert list(facet_faults({**resource, element: [*items, *found]}))
    if row.get("max") == "0":
        excluded = {"system": f"https://{row['id'].rpartition(':')[2]}.esante.gouv.fr", "value": "1"}
        assert list(facet_faults({**resource, element: [*items, excluded]}))


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"availableTime": [{"daysOfWeek": ["mon", "tue"]}]}, "daysOfWeek"),
        ({"location": [{"reference": "Organization/1"}]}, "location"),
        (
            {"extension": [said("ror-healthcareservice-no-consent-habilitation", valueBoolean=True)] * 2},
            "extension",
        ),
    ],
)
def test_what_the_served_definition_demands_beside_is_refused_by_the_platform(
    members: dict[str, Any], where: str
) -> None:
    unit = an_offer()
    assert not [issue for issue in profile_issues(unit) if issue.severity == "error"]
    more = {name: [*unit.get(name, []), *value] for name, value in members.items()}
    broken = [issue for issue in profile_issues({**unit, **more}) if issue.severity == "error"]
    assert [where in issue.expression[0] for issue in broken] == [True]
