"""The additions of SAS's CPTS flow (INT_R04): slots that professionals of a CPTS share, and the CPTS themselves."""

from __future__ import annotations

from creneau_booking.views.sas import codes
from creneau_booking.views.sas.identifiers import cpts_number
from creneau_booking.views.sas.resources import compact, phones, slot, visibility
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.national_numbers import NATIONAL_STRUCTURE

VISIBILITIES = codes.VISIBILITIES | {codes.CPTS_VISIBILITY}


def cpts_slot(stored: Resource, services: list[str]) -> Resource | None:
    """Returns a slot labelled CPTS as sas-cpts-slot-aggregator, with one serviceType for each of `services`.

    `services` are the references to the HealthcareServices of the CPTS, all of them in the answer. A slot labelled CPTS
    without any is left out (None). A slot without that label is rendered as an individual practitioner's.
    """
    if codes.CPTS_VISIBILITY not in visibility(stored):
        return slot(stored)
    rendered = slot(stored, VISIBILITIES)
    if rendered is None or not services:
        return None
    category = [{"system": codes.STRUCTURE_CATEGORY, "code": codes.CPTS_CATEGORY}]
    shared = [
        {
            "extension": [{"url": codes.SERVICE_REFERENCE, "valueReference": {"reference": service}}],
            "coding": category,
        }
        for service in services
    ]
    rendered["meta"]["profile"] = [codes.CPTS_SLOT]
    rendered["serviceType"] = [*rendered.get("serviceType", []), *shared]
    return rendered


def service_references(stored: Resource) -> list[str]:
    """Returns the HealthcareServices that a slot labelled CPTS names by the serviceType extension carried back from R5."""
    if codes.CPTS_VISIBILITY not in visibility(stored):
        return []
    found = [
        extension.get("valueReference", {}).get("reference")
        for concept in stored.get("serviceType", [])
        for extension in concept.get("extension", [])
        if extension.get("url") == codes.SERVICE_REFERENCE
    ]
    return list(dict.fromkeys(reference for reference in found if reference))


def cpts_service(stored: Resource, organization: str) -> Resource:
    """Returns sas-cpts-healthcareservice-aggregator, with nothing but the service's organisation."""
    return {
        "resourceType": "HealthcareService",
        "id": stored["id"],
        "meta": {"profile": [codes.CPTS_SERVICE]},
        "providedBy": {"reference": organization},
    }


def cpts_organization(stored: Resource) -> Resource | None:
    """Returns sas-cpts-organization-aggregator; None without a FINESS number of digits alone, which the profile demands
    (those of Corsica have a letter)."""
    number = cpts_number(stored.get("identifier", []))
    if number is None:
        return None
    kind = {"coding": [{"system": codes.CPTS_IDENTIFIER_TYPE, "code": "IDNST"}]}
    return {
        "resourceType": "Organization",
        "id": stored["id"],
        "meta": {"profile": [codes.CPTS_ORGANIZATION]},
        "identifier": [{"type": kind, "system": NATIONAL_STRUCTURE, "value": number}],
    } | compact(name=stored.get("name"), telecom=phones(stored))
