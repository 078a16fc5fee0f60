"""Fees, access and new patients: what `$find-care` filters by is what the pages say of whom it finds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from creneau_directory.domain.care.around import Around
from creneau_directory.domain.care.places import gazetteer
from creneau_directory.domain.care.situation import situation_of
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_web.care.reading import professionals_of

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
NOS = "https://mos.esante.gouv.fr/NOS/"
FEES = (
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-contracted"
)


def said(name: str, **value: Any) -> dict[str, Any]:
    return {"extension": [{"url": name if ":" in name else OWN + name, **value}]}


def new_patients(value: bool) -> dict[str, Any]:
    return said("new-patients", valueBoolean=value)


def coded(nomenclature: str, code: str) -> list[dict[str, Any]]:
    system = f"{NOS}{nomenclature}/FHIR/{nomenclature.replace('_', '-')}"
    return [{"coding": [{"system": system, "code": code}]}]


def fees(code: str) -> dict[str, Any]:
    [concept] = coded("TRE_R282-CNAMAmeliSecteurConventionnement", code)
    return said(FEES, valueCodeableConcept=concept)


def referring(type_: str, id_: str) -> dict[str, Any]:
    return {"reference": f"{type_}/{id_}"}


STATED: list[tuple[dict[str, dict[str, Any]], set[str]]] = [
    ({}, set()),
    ({"role": fees("1"), "offer": fees("2")}, {"sector:1"}),
    ({"offer": fees("c3")}, {"sector:3"}),
    ({"role": new_patients(False), "offer": new_patients(True)}, set()),
    ({"offer": new_patients(True)}, {"new-patient:true"}),
    ({"role": new_patients(True), "offer": new_patients(False)}, {"new-patient:true"}),
    ({"offer": {"specialty": coded("TRE_R211-ActiviteOperationnelle", "471")}}, {"new-patient:true"}),
    ({"role": said("urn:x/accepts-new-patients", valueBoolean=True)}, {"new-patient:true"}),
    ({"place": new_patients(True)}, set()),
    (
        {"offer": {"characteristic": coded("TRE_R338-ModaliteAccueil", "15")}},
        {"accessibility:disability-rooms"},
    ),
    ({"role": {"code": coded("TRE_R338-ModaliteAccueil", "16")}}, {"accessibility:disability"}),
    (
        {"offer": {"characteristic": coded("TRE_R338-ModaliteAccueil", "17")}},
        {"accessibility:disability-theatre"},
    ),
    ({"place": said("accessibility", valueCode="hearing")}, {"accessibility:hearing"}),
    ({"site": said("urn:x/site-accessibility", valueBoolean=True)}, {"accessibility:wheelchair"}),
    ({"organization": said("accessibility", valueCode="hearing")}, set()),
]


@pytest.mark.parametrize(("stated", "terms"), STATED)
def test_what_filters_is_what_is_shown(stated: dict[str, dict[str, Any]], terms: set[str]) -> None:
    floor = {"resourceType": "Location", "id": "etage", "partOf": referring("Location", "site")}
    site = {"resourceType": "Location", "id": "site", "address": {"city": "Rennes"}, **stated.get("site", {})}
    place = {
        "resourceType": "Location", "id": "salle", "partOf": referring("Location", "etage"), **stated.get("place", {})
    }  # fmt: skip
    offer = {"resourceType": "HealthcareService", "id": "offre", **stated.get("offer", {})}
    organization = {"resourceType": "Organization", "id": "cabinet", **stated.get("organization", {})}
    role = {
        "resourceType": "PractitionerRole",
        "id": "role",
        "practitioner": {"display": "Dr Ada Zorbec"},
        "organization": referring("Organization", "cabinet"),
        "location": [referring("Location", "salle")],
        "healthcareService": [referring("HealthcareService", "offre")],
        **stated.get("role", {}),
    }
    others = {"Location/etage": floor, "Location/site": site}
    around = Around(role, None, [place], [offer], organization, others)
    row = situation_of(around, vocabulary(), gazetteer())
    assert row is not None
    kinds = ("sector:", "new-patient:", "accessibility:")
    assert {term for term in row.terms if term.startswith(kinds)} == terms

    everything = (role, place, floor, site, offer, organization)
    searchset = {"entry": [{"resource": resource} for resource in everything]}
    [shown] = professionals_of(searchset, NOW)
    told = {f"accessibility:{code}" for code in shown.access}
    told |= {f"sector:{shown.sector}"} if shown.sector else set()
    told |= {"new-patient:true"} if shown.new_patients else set()
    assert told == terms
