"""Each resource of the SAS family, from facts that are stored in the manner of FR Core 2."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.views.sas.cpts import cpts_organization, cpts_slot, service_references
from creneau_booking.views.sas.resources import location, practitioner, role, schedule, slot
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.storage.store import Resource

SPECIALTY = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
KIND = "http://terminology.hl7.org/CodeSystem/v2-0276"
FR_CORE_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
REASON = "https://exemple.fr/motifs"
EXTENSION = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Slot.serviceType"
OURS = "https://creneau.example/fhir/Location"


def test_a_postal_code_is_sent_as_five_digits() -> None:
    """Check 38; one that is none would cost the aggregator the whole answer."""
    place: dict[str, Any] = {
        "resourceType": "Location",
        "id": "l",
        "address": {"line": ["1 rue de l'Essai"], "city": "Saint-Denis"},
    }

    def sent(code: str) -> Any:
        found = location({**place, "address": {**place["address"], "postalCode": code}}, OURS)
        return None if found is None else found["address"]["postalCode"]

    assert [sent(code) for code in ("97 400", "F-97400", "97400 ")] == ["97400"] * 3
    assert sent("?") is None


def labelled(*visibilities: str, **more: Any) -> Resource:
    return {
        "resourceType": "Slot",
        "id": "s",
        "meta": {
            "versionId": "3",
            "lastUpdated": "2026-11-01T08:00:00Z",
            "profile": ["https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-slot"],
            "security": [{"system": SLOT_TYPE_SYSTEM, "code": code, "display": "?"} for code in visibilities],
        },
        "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>Note</div>"},
        "schedule": {"reference": "Schedule/a", "display": "Agenda"},
        "status": "free",
        "start": "2026-12-01T08:00:00Z",
        "end": "2026-12-01T08:20:00Z",
        **more,
    }


def rendered(stored: Resource) -> Resource:
    found = slot(stored)
    assert found is not None
    return found


def test_a_slot_claims_one_profile_and_keeps_its_labels() -> None:
    found = rendered(labelled("PUBLIC", "SNP"))
    assert found["meta"] == {
        "profile": ["http://sas.fr/fhir/StructureDefinition/FrSlotAgregateur"],
        "security": [
            {"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"},
            {"system": SLOT_TYPE_SYSTEM, "code": "SNP"},
        ],
    }
    assert "text" not in found


@pytest.mark.parametrize(
    ("stored", "instant"),
    [
        ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00.000+00:00"),
        ("2026-12-01T09:00:00+01:00", "2026-12-01T08:00:00.000+00:00"),
        ("2026-12-01T08:00:00.250-03:00", "2026-12-01T11:00:00.250+00:00"),
    ],
)
def test_instants_have_milliseconds_and_the_offset_of_utc(stored: str, instant: str) -> None:
    assert rendered(labelled("PUBLIC", start=stored))["start"] == instant


@pytest.mark.parametrize(
    "stored",
    [
        labelled(),
        labelled("CPTS"),
        labelled("PUBLIC", "CPTS"),
        labelled("PUBLIC", status="busy"),
        labelled("PUBLIC", status="busy-tentative"),
        labelled("PUBLIC")
        | {
            "meta": {
                "security": [
                    {"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"},
                    {"system": "https://editeur.example/visibilite", "code": "patientele"},
                ]
            }
        },
    ],
    ids=["no label", "CPTS only", "CPTS too", "busy", "held", "kept for the practice's own patients"],
)
def test_a_slot_is_open_to_regulators_entirely_or_not_sent(stored: Resource) -> None:
    assert slot(stored) is None


def test_visits_are_codes_and_reasons_are_words() -> None:
    video = {"system": VISIT, "code": "VR"}
    stored = labelled(
        "PUBLIC",
        serviceType=[
            {"coding": [video, {"system": REASON, "code": "12", "display": "Suivi"}]},
            {"coding": [{"system": REASON, "code": "13", "display": "Visite urgente"}]},
            {"coding": [{"system": REASON, "code": "14"}]},
            {"text": "Visite de contrôle"},
        ],
    )
    assert rendered(stored)["serviceType"] == [
        {"coding": [video]},
        {"text": "Visite urgente"},
        {"text": "Visite de contrôle"},
    ]


def test_a_specialty_is_of_tre_r38_or_in_words() -> None:
    ordinal = {"system": SPECIALTY, "code": "SM41"}
    stored = labelled(
        "PUBLIC",
        specialty=[
            {"coding": [ordinal, {"system": "urn:other", "code": "1"}], "text": "Poumons"},
            {"coding": [{"system": "urn:other", "code": "2", "display": "Ostéopathie"}]},
        ],
    )
    assert rendered(stored)["specialty"] == [
        {"coding": [ordinal], "text": "Poumons"},
        {"text": "Ostéopathie"},
    ]


@pytest.mark.parametrize(
    ("stored", "code"),
    [("WALKIN", "WALKIN"), ("ROUTINE", "ROUTINE"), ("FOLLOWUP", "ROUTINE"), (None, "ROUTINE")],
)
def test_a_slot_is_to_be_booked_or_walked_into(stored: str | None, code: str) -> None:
    more = {"appointmentType": {"coding": [{"system": KIND, "code": stored}]}} if stored else {}
    assert rendered(labelled("PUBLIC", **more))["appointmentType"] == {
        "coding": [{"system": KIND, "code": code}]
    }


@pytest.mark.parametrize(
    ("comment", "sent"),
    [
        ("https://agenda.exemple.fr/?pro=12", True),
        ("http://agenda.exemple.fr/", True),
        ("Porte B, demander Mme Fictive", False),
        ("javascript:alert(1)", False),
        ("voir https://agenda.exemple.fr", False),
    ],
)
def test_the_comment_is_the_address_of_the_agenda(comment: str, sent: bool) -> None:
    assert (rendered(labelled("PUBLIC", comment=comment)).get("comment") == comment) is sent


def test_a_schedule_is_of_a_practitioner_in_a_role() -> None:
    stored = {
        "resourceType": "Schedule",
        "id": "a",
        "serviceType": [{"text": "Consultation"}],
        "actor": [{"reference": "Location/l"}],
        "comment": "Fermé l'été",
    }
    assert schedule(stored, "Practitioner/p", "PractitionerRole/r") == {
        "resourceType": "Schedule",
        "id": "a",
        "meta": {"profile": ["http://sas.fr/fhir/StructureDefinition/FrScheduleAgregateur"]},
        "actor": [{"reference": "Practitioner/p"}, {"reference": "PractitionerRole/r"}],
    }


def test_a_practitioner_has_the_prefixed_number_alone_in_the_coding_of_fr_core_1() -> None:
    stored = {
        "resourceType": "Practitioner",
        "id": "p",
        "active": True,
        "identifier": [
            {"type": {"coding": [{"system": FR_CORE_TYPE, "code": "RPPS"}]}}
            | {"system": "https://rpps.esante.gouv.fr", "value": "99000000016"},
        ],
        "name": [{"family": "Fictif", "given": ["Dominique"], "prefix": ["M", "DR"]}],
        "telecom": [
            {"system": "email", "value": "d@exemple.fr"},
            {"system": "phone", "value": "01 99 00 11 22"},
        ],
        "birthDate": "1970-01-01",
        "qualification": [{"code": {"text": "Médecin"}}],
    }
    assert practitioner(stored) == {
        "resourceType": "Practitioner",
        "id": "p",
        "meta": {"profile": ["http://sas.fr/fhir/StructureDefinition/FrPractitionerAgregateur"]},
        "identifier": [
            {
                "type": {
                    "coding": [
                        {"system": "http://interopsante.org/fhir/CodeSystem/fr-v2-0203", "code": "IDNPS"}
                    ]
                },
                "system": "urn:oid:1.2.250.1.71.4.2.1",
                "value": "899000000016",
            }
        ],
        "name": [{"family": "Fictif", "given": ["Dominique"], "prefix": ["M"]}],
        "telecom": [{"system": "phone", "value": "+33199001122"}],
    }
    assert practitioner(stored | {"active": False}) is None
    assert practitioner(stored | {"identifier": []}) is None


PLACE: Resource = {
    "resourceType": "Location",
    "id": "l",
    "name": "Cabinet fictif",
    "address": {
        "extension": [{"url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"}],
        "line": ["Bâtiment B", "3 rue des Exemples"],
        "city": "Rennes",
        "postalCode": "35000",
        "country": "FRA",
    },
    "position": {"longitude": -1.6, "latitude": 48.1},
}
INTERNAL = {
    "coding": [
        {"system": "http://interopsante.org/fhir/CodeSystem/fr-location-identifier-type", "code": "INTRN"}
    ]
}


def test_a_place_has_one_line_of_address_and_an_identifier() -> None:
    assert location(PLACE, OURS) == {
        "resourceType": "Location",
        "id": "l",
        "meta": {"profile": ["http://sas.fr/fhir/StructureDefinition/FrLocationAgregateur"]},
        "identifier": [{"type": INTERNAL, "system": OURS, "value": "l"}],
        "name": "Cabinet fictif",
        "address": {"line": ["Bâtiment B, 3 rue des Exemples"], "city": "Rennes", "postalCode": "35000"},
    }


def test_the_identifiers_of_a_place_keep_their_meaning_in_the_other_coding() -> None:
    given = {"type": {"coding": [{"system": FR_CORE_TYPE, "code": "INTRN"}]}, "system": "urn:e", "value": "7"}
    plain = {"system": "urn:other", "value": "8"}
    found = location(PLACE | {"identifier": [given, plain]}, OURS)
    assert found is not None
    assert found["identifier"] == [{"type": INTERNAL, "system": "urn:e", "value": "7"}]


@pytest.mark.parametrize("missing", ["line", "city", "postalCode"])
def test_a_place_without_its_whole_address_is_none(missing: str) -> None:
    address = {name: value for name, value in PLACE["address"].items() if name != missing}
    assert location(PLACE | {"address": address}, OURS) is None
    assert location(PLACE | {"status": "inactive"}, OURS) is None


def test_a_role_contains_its_place_and_names_its_structure_by_number() -> None:
    place = location(PLACE, OURS)
    assert place is not None
    stored = {
        "resourceType": "PractitionerRole",
        "id": "r",
        "organization": {"reference": "Organization/o", "display": "Maison fictive"},
        "telecom": [
            {"system": "phone", "value": "+33199001122", "use": "work"},
            {"system": "fax", "value": "1"},
        ],
        "healthcareService": [{"reference": "HealthcareService/h"}],
    }
    owner = {"identifier": [{"system": "https://finess.esante.gouv.fr", "value": "810004421"}]}
    found = role(stored, "Practitioner/p", place, owner)
    assert found == {
        "resourceType": "PractitionerRole",
        "id": "r",
        "meta": {"profile": ["http://sas.fr/fhir/StructureDefinition/FrPractitionerRoleExerciceAgregateur"]},
        "contained": [place],
        "practitioner": {"reference": "Practitioner/p"},
        "organization": {
            "identifier": {
                "type": {
                    "coding": [
                        {"system": "http://interopsante.org/fhir/CodeSystem/fr-v2-0203", "code": "IDNST"}
                    ]
                },
                "system": "urn:oid:1.2.250.1.71.4.2.2",
                "value": "1810004421",
            }
        },
        "location": [{"reference": "#l"}],
        "telecom": [{"system": "phone", "value": "+33199001122"}],
    }
    alone = role(stored, "Practitioner/p", place, None)
    assert alone is not None
    assert "organization" not in alone
    assert role(stored | {"active": False}, "Practitioner/p", place, owner) is None


def test_a_slot_of_cpts_names_each_of_them() -> None:
    shared = [
        {"extension": [{"url": EXTENSION, "valueReference": {"reference": f"HealthcareService/{name}"}}]}
        for name in ("one", "two")
    ]
    stored = labelled("PUBLIC", "CPTS", serviceType=[{"text": "Visite"}, *shared])
    assert service_references(stored) == ["HealthcareService/one", "HealthcareService/two"]
    found = cpts_slot(stored, service_references(stored))
    assert found is not None
    assert found["meta"]["profile"] == [
        "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/sas-cpts-slot-aggregator"
    ]
    assert [concept.get("coding", [{}])[0].get("code") for concept in found["serviceType"]] == [
        None,
        "604",
        "604",
    ]
    assert cpts_slot(stored, []) is None, "a CPTS that is not held here cannot be named"


CATEGORY = "https://mos.esante.gouv.fr/NOS/TRE_R66-CategorieEtablissement/FHIR/TRE-R66-CategorieEtablissement"
CPTS = {
    "system": CATEGORY,
    "code": "604",
    "display": "Communauté professionnelle territoriale de santé (CPTS)",
}
REFERRING = [{"url": EXTENSION, "valueReference": {"reference": "HealthcareService/one"}}]
HOME = {"system": VISIT, "code": "HH"}


def test_a_cpts_is_no_reason_for_a_visit() -> None:
    """Neither its category nor what stands beside the reference to it is sent in words; visit types are."""
    types: list[Resource] = [
        {"text": "Visite"},
        {"extension": REFERRING, "coding": [CPTS]},
        {"extension": REFERRING, "coding": [HOME], "text": "CPTS fictive"},
        {"coding": [CPTS], "text": "CPTS"},
    ]
    found = cpts_slot(labelled("PUBLIC", "CPTS", serviceType=types), ["HealthcareService/one"])
    assert found is not None
    *own, shared = found["serviceType"]
    assert own == [{"text": "Visite"}, {"coding": [HOME]}]
    assert shared["coding"][0]["code"] == "604"
    alone = rendered(labelled("PUBLIC", serviceType=[{"extension": REFERRING, "coding": [CPTS]}]))
    assert "serviceType" not in alone


def test_what_a_practice_says_beside_its_own_offer_is_a_reason() -> None:
    said: Resource = {"extension": REFERRING, "text": "Suivi de grossesse"}
    assert rendered(labelled("PUBLIC", serviceType=[said]))["serviceType"] == [{"text": "Suivi de grossesse"}]


def test_a_slot_without_the_label_has_nothing_of_a_cpts() -> None:
    shared = [{"extension": [{"url": EXTENSION, "valueReference": {"reference": "HealthcareService/one"}}]}]
    stored = labelled("PUBLIC", serviceType=shared)
    assert service_references(stored) == []
    assert cpts_slot(stored, []) == slot(stored)


def test_a_cpts_is_known_by_its_finess() -> None:
    stored = {"resourceType": "Organization", "id": "o", "name": "CPTS fictive"}
    finess = {"system": "https://finess.esante.gouv.fr", "value": "950047225"}
    found = cpts_organization(stored | {"identifier": [finess]})
    assert found is not None
    assert found["identifier"] == [
        {
            "type": {"coding": [{"system": FR_CORE_TYPE, "code": "IDNST"}]},
            "system": "urn:oid:1.2.250.1.71.4.2.2",
            "value": "1950047225",
        }
    ]
    siret = {"system": "https://sirene.fr", "value": "26670005200012"}
    assert cpts_organization(stored | {"identifier": [siret]}) is None


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({"coding": [{"system": VISIT, "code": "PATDOC", "display": "Dossier"}]}, [{"text": "Dossier"}]),
        ({"coding": [{"system": VISIT, "code": "PATDOC"}]}, []),
        (
            {"coding": [{"system": VISIT, "code": "PATDOC"}, {"system": VISIT, "code": "VR"}]},
            [{"coding": [{"system": VISIT, "code": "VR"}]}],
        ),
    ],
)
def test_a_code_that_the_profiles_do_not_take_goes_in_words(said: Resource, sent: list[Resource]) -> None:
    """One that breaks a required binding would cost the aggregator the whole answer."""
    found = rendered(labelled("PUBLIC", serviceType=[said]))
    assert found.get("serviceType", []) == sent
    assert errors(found) == []


def test_a_speciality_that_there_is_not_goes_in_words() -> None:
    unknown = {"coding": [{"system": SPECIALTY, "code": "SM999", "display": "Inconnue"}]}
    found = rendered(labelled("PUBLIC", specialty=[unknown]))
    assert found["specialty"] == [{"text": "Inconnue"}]
    assert errors(found) == []
    place = {
        "resourceType": "Location",
        "id": "l",
        "address": {"line": ["1"], "city": "A", "postalCode": "35000"},
    }
    inner = location(place, OURS)
    assert inner is not None
    situation = role(
        {"resourceType": "PractitionerRole", "id": "r", "specialty": [unknown]}, "Practitioner/p", inner, None
    )
    assert situation is not None
    assert errors(situation) == []


def test_a_cpts_is_sent_by_a_number_that_its_profile_takes() -> None:
    """Corsica's FINESS numbers have a letter, which the profile's invariant refuses."""
    corsican, other = (
        {"system": "https://finess.esante.gouv.fr", "value": v} for v in ("2A0004567", "200004567")
    )
    stored = {"resourceType": "Organization", "id": "o", "identifier": [corsican]}
    assert cpts_organization(stored) is None
    sent = cpts_organization({**stored, "identifier": [corsican, other]})
    assert sent is not None
    assert sent["identifier"][0]["value"] == "1200004567"
    assert errors(sent) == []


def errors(sent: Resource) -> list[object]:
    return [issue for issue in profile_issues(sent) if issue.severity == "error"]
