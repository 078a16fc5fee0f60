"""The mandatory facets of a resource that claims a ROR profile (`meta.profile`): ROR 0.7 (model 3.0).

Each fault names where (FHIRPath below the type), which facet, and what is wrong with it: missing, repeated, unfit, not a code
of its list, or out of place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from creneau_directory.domain.ror.capacities import capacity_faults
from creneau_directory.domain.ror.lists import is_listed
from creneau_directory.domain.ror.urls import EXTENSION, Resource, codes, extensions, value_of

Problem = Literal["missing", "repeated", "unfit", "unlisted", "excluded"]

_NOS: Final = "https://mos.esante.gouv.fr/NOS/"
_ACTIVITY: Final = f"{_NOS}TRE_R211-ActiviteOperationnelle/FHIR/TRE-R211-ActiviteOperationnelle"
_ANNUAL_OPENING: Final = f"{_NOS}TRE_R238-OuvertureAnnuelle/FHIR/TRE-R238-OuvertureAnnuelle"
_CARE_MODE: Final = f"{_NOS}TRE_R213-ModePriseEnCharge/FHIR/TRE-R213-ModePriseEnCharge"
_CHANNEL: Final = f"{_NOS}TRE_R200-CanalCommunication/FHIR/TRE-R200-CanalCommunication"
_EXPERTISE: Final = f"{_NOS}TRE_R04-TypeSavoirFaire/FHIR/TRE-R04-TypeSavoirFaire"
_EXERCISE: Final = f"{_NOS}TRE_R23-ModeExercice/FHIR/TRE-R23-ModeExercice"
_FIELD: Final = f"{_NOS}TRE_R227-ChampActivite/FHIR/TRE-R227-ChampActivite"
_KIND: Final = f"{_NOS}TRE_R244-CategorieOrganisation/FHIR/TRE-R244-CategorieOrganisation"
_LEVEL: Final = f"{_NOS}TRE_R283-NiveauConfidentialite/FHIR/TRE-R283-NiveauConfidentialite"
_PROFESSION: Final = f"{_NOS}TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
_REGION: Final = f"{_NOS}TRE_R30-RegionOM/FHIR/TRE-R30-RegionOM"
_PERSON: Final = "urn:oid:1.2.250.1.71.4.2.1"
_BARE_NUMBERS: Final = ("https://rpps.esante.gouv.fr", "https://adeli.esante.gouv.fr")
_UNIT: Final = "https://oi.esante.gouv.fr"


@dataclass(frozen=True, slots=True)
class FacetFault:
    """A facet (its name in the ROR) with a problem, and the element where it belongs."""

    element: str
    facet: str
    problem: Problem


def claims_ror(resource: Resource) -> bool:
    """Whether the resource claims the ROR profile of its type."""
    profile = f"{EXTENSION}ror-{resource['resourceType'].lower()}"
    return any(
        str(named).partition("|")[0] == profile for named in resource.get("meta", {}).get("profile", ())
    )


def facet_faults(resource: Resource) -> Iterator[FacetFault]:
    """Yields the faults of a resource that claims a ROR profile; nothing for any other resource."""
    rule = _RULES.get(resource["resourceType"])
    if rule is None or not claims_ror(resource):
        return
    yield from _once(_extensions(resource, "ror-meta-creation-date"), "extension", "metaCreationDate")
    regions = [tag for tag in resource["meta"].get("tag", ()) if tag.get("system") == _REGION]
    yield from _at_most_once(regions, "meta.tag", "codeRegion")
    yield from rule(resource)
    for index, contact in enumerate(resource.get("telecom", ())):
        yield from _telecom(contact, f"telecom[{index}]")


def _of_offers(offer: Resource) -> Iterator[FacetFault]:
    yield from _once(offer.get("identifier", ()), "identifier", "identifiantOffre")
    yield from _once(offer.get("type", ()), "type", "champActivite")
    yield from _listed(offer.get("type", ()), "type", "champActivite", _FIELD)
    yield from _at_most_once(offer.get("category", ()), "category", "typeOffre")
    yield from _listed(offer.get("category", ()), "category", "typeOffre", _KIND)
    yield from _once_of(offer, "specialty", "activiteOperationnelle", _ACTIVITY)
    yield from _once_of(offer, "characteristic", "modePriseEnCharge", _CARE_MODE)
    openings = _of_system(offer, "characteristic", _ANNUAL_OPENING)
    yield from _at_most_once(openings, "characteristic", "ouvertureAnnuelle")
    for contact in _extensions(offer, "ror-healthcareservice-contact"):
        for telecom in _extensions(contact, "ror-healthcareservice-contact-telecom"):
            address = list(extensions(telecom, "telecomAddress"))
            yield from _once(address, "extension", "adresseTelecom")
            yield from _channel_and_level(telecom, "extension")
    sensitive = _extensions(offer, "ror-healthcareservice-sensitive-unit")
    yield from _once(sensitive, "extension", "uniteSensible")
    if any(not isinstance(value_of(one), bool) for one in sensitive):
        yield FacetFault("extension", "uniteSensible", "unfit")
    patients = _extensions(offer, "ror-healthcareservice-patient-type")
    yield from _once(patients, "extension", "patientele")
    for one in patients:
        ages = list(extensions(one, "ageRange"))
        yield from _once(ages, "extension", "trancheAge")
        if any(not _is_range(value_of(age)) for age in ages):
            yield FacetFault("extension", "trancheAge", "unfit")
    closings = [one for one in offer.get("notAvailable", ()) if one.get("id") == "closingReopeningDate"]
    yield from _at_most_once(closings, "notAvailable", "dateFermetureReouverture")
    if any(not one.get("during") for one in closings):
        yield FacetFault("notAvailable", "dateFermetureReouverture", "missing")


def _of_places(place: Resource) -> Iterator[FacetFault]:
    yield from _once(_extensions(place, "ror-commune-cog"), "extension", "communeCog")
    for index, fault in capacity_faults(place):
        yield FacetFault(f"extension[{index}]", fault.part, fault.problem)


def _of_organizations(organization: Resource) -> Iterator[FacetFault]:
    units = [one for one in organization.get("identifier", ()) if one.get("system") == _UNIT]
    yield from _at_most_once(units, "identifier", "identifiantOI")
    yield from _at_most_once(organization.get("address", ()), "address", "adresse")
    for index, contact in enumerate(organization.get("contact", ())):
        if not contact.get("purpose"):
            yield FacetFault(f"contact[{index}].purpose", "natureContact", "missing")
        for number, telecom in enumerate(contact.get("telecom", ())):
            yield from _telecom(telecom, f"contact[{index}].telecom[{number}]")


def _of_practitioners(person: Resource) -> Iterator[FacetFault]:
    national = [one for one in person.get("identifier", ()) if one.get("system") == _PERSON]
    yield from _once(national, "identifier", "idNatPs")
    for index, identifier in enumerate(person.get("identifier", ())):
        if identifier.get("system") in _BARE_NUMBERS:
            yield FacetFault(f"identifier[{index}]", "numeroSansPrefixe", "excluded")


def _of_situations(role: Resource) -> Iterator[FacetFault]:
    if "practitioner" not in role:
        yield FacetFault("practitioner", "professionnel", "missing")
    yield from _once(role.get("healthcareService", ()), "healthcareService", "offreOperationnelle")
    yield from _at_most_once(role.get("identifier", ()), "identifier", "identifiantSituation")
    yield from _at_most_once(role.get("telecom", ()), "telecom", "telecommunication")
    yield from _at_most_once(role.get("availableTime", ()), "availableTime", "horaire")
    yield from _once(role.get("code", ()), "code", "profession")
    yield from _listed(role.get("code", ()), "code", "profession", _PROFESSION)
    mode = _extensions(role, "ror-practitionerrole-unit-exercise-mode")
    yield from _once_coded(mode, "extension", "modeExercice", _EXERCISE)
    yield from _once_of(role, "specialty", "typeSavoirFaire", _EXPERTISE)


_RULES: Final[Mapping[str, Callable[[Resource], Iterator[FacetFault]]]] = {
    "HealthcareService": _of_offers,
    "Location": _of_places,
    "Organization": _of_organizations,
    "Practitioner": _of_practitioners,
    "PractitionerRole": _of_situations,
}


def _telecom(contact: Resource, where: str) -> Iterator[FacetFault]:
    if not contact.get("value"):
        yield FacetFault(f"{where}.value", "adresseTelecom", "missing")
    yield from _channel_and_level(contact, f"{where}.extension")


def _channel_and_level(contact: Resource, element: str) -> Iterator[FacetFault]:
    """Yields what a contact lacks of its channel and its level; without a level, it would be shown to everybody."""
    for name, facet, system in (
        ("ror-telecom-communication-channel", "canal", _CHANNEL),
        ("ror-telecom-confidentiality-level", "niveauConfidentialite", _LEVEL),
    ):
        yield from _once_coded(_extensions(contact, name), element, facet, system)


def _extensions(element: Resource, name: str) -> list[Resource]:
    return list(extensions(element, EXTENSION + name))


def _of_system(resource: Resource, element: str, system: str) -> list[Resource]:
    """The concepts of an element that have a code of the system."""
    return [
        concept
        for concept in resource.get(element, ())
        if any(coding.get("system") == system and codes(coding) for coding in concept.get("coding", ()))
    ]


def _once_of(resource: Resource, element: str, facet: str, system: str) -> Iterator[FacetFault]:
    """Yields the faults of an element of which exactly one concept is of the system, and has a code of it."""
    found = _of_system(resource, element, system)
    yield from _once(found, element, facet)
    yield from _listed(found, element, facet, system)


def _once_coded(found: list[Resource], element: str, facet: str, system: str) -> Iterator[FacetFault]:
    """Yields the faults of an extension that stands there once, with a code of the system as its value."""
    yield from _once(found, element, facet)
    yield from _listed(map(value_of, found), element, facet, system)


def _listed(concepts: Iterable[Any], element: str, facet: str, system: str) -> Iterator[FacetFault]:
    """Yields a fault for each value that has no code of the system's list: words alone are none."""
    for concept in concepts:
        codings = concept.get("coding", ()) if isinstance(concept, Mapping) else ()
        own = [coding for coding in codings if coding.get("system") == system]
        if not any(is_listed(system, code) for coding in own for code in codes(coding)):
            yield FacetFault(element, facet, "unlisted")


def _is_range(value: Any) -> bool:
    return isinstance(value, Mapping) and all("value" in value.get(end, ()) for end in ("low", "high"))


def _once(found: Any, element: str, facet: str) -> Iterator[FacetFault]:
    if not found:
        yield FacetFault(element, facet, "missing")
    yield from _at_most_once(found, element, facet)


def _at_most_once(found: Any, element: str, facet: str) -> Iterator[FacetFault]:
    if len(found) > 1:
        yield FacetFault(element, facet, "repeated")
