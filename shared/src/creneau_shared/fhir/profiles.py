"""What the profiles that we claim demand beyond R4 (FR Core 2.2.0, SAS 1.2.0), for resources that claim them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from creneau_shared.errors import Issue
from creneau_shared.fhir.storage.store import Resource

FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition/"
SAS = "http://sas.fr/fhir/StructureDefinition/"
SPECIALTIES = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
NATIONAL_PERSON_ID = "urn:oid:1.2.250.1.71.4.2.1"

Rule = Callable[[Resource], Iterable[Issue]]


def _broken(profile: str, expression: str, fr: str, en: str) -> Issue:
    return Issue(
        "structure", f"{fr} ({profile}).", f"{en} ({profile}).", (expression,), details_code="profile"
    )


def _at_most_one(profile: str, element: str) -> Rule:
    def rule(resource: Resource) -> Iterable[Issue]:
        if len(resource.get(element, ())) > 1:
            where = f"{resource['resourceType']}.{element}"
            yield _broken(
                profile, where, f"{element} : une seule valeur au plus", f"{element}: one value at most"
            )

    return rule


def _absent(profile: str, element: str) -> Rule:
    def rule(resource: Resource) -> Iterable[Issue]:
        if element in resource:
            where = f"{resource['resourceType']}.{element}"
            yield _broken(profile, where, f"{element} : interdit", f"{element}: not allowed")

    return rule


def _present(profile: str, *elements: str) -> Rule:
    def rule(resource: Resource) -> Iterable[Issue]:
        for element in elements:
            if element not in resource:
                where = f"{resource['resourceType']}.{element}"
                yield _broken(profile, where, f"{element} : obligatoire", f"{element}: required")

    return rule


def _ordinal_specialties(profile: str) -> Rule:
    """specialty is bound, as required, to TRE_R38."""

    def rule(resource: Resource) -> Iterable[Issue]:
        for index, concept in enumerate(resource.get("specialty", ())):
            systems = {coding.get("system") for coding in concept.get("coding", ())}
            if systems and SPECIALTIES not in systems:
                yield _broken(
                    profile,
                    f"{resource['resourceType']}.specialty[{index}]",
                    "specialty : un code de TRE_R38 est attendu",
                    "specialty: a code of TRE_R38 is expected",
                )

    return rule


def _fixed(profile: str, element: str, value: Any) -> Rule:
    def rule(resource: Resource) -> Iterable[Issue]:
        if resource.get(element) != value:
            where = f"{resource['resourceType']}.{element}"
            yield _broken(
                profile, where, f"{element} : « {value} » est attendu", f"{element}: “{value}” is expected"
            )

    return rule


def _national_identifier(profile: str) -> Rule:
    def rule(resource: Resource) -> Iterable[Issue]:
        for index, identifier in enumerate(resource.get("identifier", ())):
            if identifier.get("system") != NATIONAL_PERSON_ID or not identifier.get("value"):
                yield _broken(
                    profile,
                    f"Practitioner.identifier[{index}]",
                    "identifier : l'identifiant national du professionnel est attendu",
                    "identifier: the professional's national identifier is expected",
                )

    return rule


def _profile(canonical: str, *rules: Callable[..., Rule] | tuple[Any, ...]) -> tuple[str, tuple[Rule, ...]]:
    made = []
    for rule in rules:
        maker, *arguments = rule if isinstance(rule, tuple) else (rule,)
        made.append(maker(canonical, *arguments))
    return canonical, tuple(made)


_RULES: dict[str, tuple[Rule, ...]] = dict(
    (
        _profile(FR_CORE + "fr-core-slot", (_at_most_one, "serviceCategory"), _ordinal_specialties),
        _profile(
            FR_CORE + "fr-core-schedule",
            (_at_most_one, "serviceCategory"),
            (_absent, "serviceType"),
            _ordinal_specialties,
        ),
        _profile(FR_CORE + "fr-core-appointment", _ordinal_specialties),
        _profile(FR_CORE + "fr-core-practitioner-role", _ordinal_specialties),
        _profile(FR_CORE + "fr-core-healthcare-service", (_at_most_one, "category")),
        _profile(
            SAS + "FrSlotAgregateur",
            (_fixed, "status", "free"),
            (_at_most_one, "serviceCategory"),
            _ordinal_specialties,
        ),
        _profile(SAS + "FrScheduleAgregateur", (_absent, "serviceType"), (_at_most_one, "serviceCategory")),
        _profile(SAS + "FrPractitionerAgregateur", (_present, "identifier"), _national_identifier),
        _profile(
            SAS + "FrPractitionerRoleExerciceAgregateur",
            (_present, "contained", "location"),
            _ordinal_specialties,
        ),
    )
)

SUPPORTED = frozenset(_RULES)
"""The canonical URLs of the profiles that are checked."""


def profile_issues(resource: Resource, asked: Iterable[str] = ()) -> list[Issue]:
    """What the resource breaks of the profiles that it claims in meta.profile, or that are asked for.

    A profile that is asked for and not known is a warning; one that is merely claimed is the client's own
    affair.
    """
    claimed = [profile.partition("|")[0] for profile in resource.get("meta", {}).get("profile", ())]
    wanted = [profile.partition("|")[0] for profile in asked]
    issues = [
        issue
        for profile in dict.fromkeys([*claimed, *wanted])
        for rule in _RULES.get(profile, ())
        for issue in rule(resource)
    ]
    issues += [
        Issue(
            "not-supported",
            f"Le profil {profile} n'est pas connu ici : il n'a pas été vérifié.",
            f"The profile {profile} is not known here: it was not checked.",
            severity="warning",
        )
        for profile in wanted
        if profile not in SUPPORTED
    ]
    return issues
