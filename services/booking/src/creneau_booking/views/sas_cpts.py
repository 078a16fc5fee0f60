"""What the CPTS flow of SAS adds (INT_R04): slots that professionals of a CPTS share, and those CPTS."""

from __future__ import annotations

from creneau_booking.views import sas_codes as codes
from creneau_booking.views.identifiers import NATIONAL_STRUCTURE, cpts_number
from creneau_booking.views.sas_resources import compact, phones, slot, visibility
from creneau_shared.fhir.storage.store import Resource

VISIBILITIES = codes.VISIBILITIES | {codes.CPTS_VISIBILITY}


def cpts_slot(stored: Resource, services: list[str]) -> Resource | None:
    """sas-cpts-slot-aggregator of a slot that is labelled CPTS, with one serviceType for each of `services`.

    `services` are the references to the HealthcareServices of the CPTS, all of them in the answer; a slot that
    has none, or is not labelled CPTS, is one of an individual practitioner and open to those alone.
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
    """The HealthcareServices that a slot names by the serviceType extension carried back from R5."""
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
    """sas-cpts-healthcareservice-aggregator: no more than whose service it is."""
    return {
        "resourceType": "HealthcareService",
        "id": stored["id"],
        "meta": {"profile": [codes.CPTS_SERVICE]},
        "providedBy": {"reference": organization},
    }


def cpts_organization(stored: Resource) -> Resource | None:
    """sas-cpts-organization-aggregator; None without a FINESS number in digits alone, which the profile demands: those of
    Corsica have a letter."""
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
