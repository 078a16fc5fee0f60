"""Profiles that resources may declare (FR Core 2.2.0, SAS 1.2.0, Créneau's own), and their rules.

A profile is data (`catalogue`), compiled once into a tree (`tree`), against which each resource is checked
(`checking`). A value that cannot be judged (unknown value set, reference to another server) is not refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from creneau_shared.errors import Issue
from creneau_shared.fhir.definitions import is_resource_type
from creneau_shared.fhir.profiles.catalogue import FR_CORE, SAS, profile_catalogue, profile_of
from creneau_shared.fhir.profiles.checking import check_profile
from creneau_shared.fhir.profiles.extensions import extension_issues

__all__ = ["FR_CORE", "SAS", "SPECIALTIES", "SUPPORTED", "profile_issues", "profiles_of"]

SPECIALTIES = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"

SUPPORTED = frozenset(
    profile.url for profile in profile_catalogue().values() if is_resource_type(profile.type)
)
"""The canonical URLs of the profiles that are checked."""

_BASE = "http://hl7.org/fhir/StructureDefinition/"


def profiles_of(resource_type: str) -> tuple[str, ...]:
    """The canonical URLs of the profiles of one type that are checked."""
    return tuple(url for url in sorted(SUPPORTED) if profile_catalogue()[url].type == resource_type)


def profile_issues(resource: dict[str, Any], asked: Iterable[str] = ()) -> list[Issue]:
    """The rules that the resource breaks, of the profiles in its meta.profile and of those in `asked`.

    An unknown profile in `asked` gives a warning; an unknown profile that is only declared is ignored. The resource
    must already be valid R4. Some issues may be warnings.
    """
    declared = [url for url in resource.get("meta", {}).get("profile", ()) if url is not None]
    wanted = [profile.partition("|")[0] for profile in asked]
    named = dict.fromkeys([*(profile.partition("|")[0] for profile in declared), *wanted])
    profiles = [profile for url in named if url in SUPPORTED and (profile := profile_of(url)) is not None]
    found = [issue for profile in profiles for issue in check_profile(resource, profile)]
    if profiles:
        found += extension_issues(resource)
    base = _BASE + resource["resourceType"]
    found += [_unknown(profile) for profile in wanted if profile not in SUPPORTED and profile != base]
    return list({(issue.fr, issue.expression): issue for issue in found}.values())


def _unknown(profile: str) -> Issue:
    return Issue(
        "not-supported",
        f"Le profil {profile} n'est pas connu ici : il n'a pas été vérifié.",
        f"The profile {profile} is not known here: it was not checked.",
        severity="warning",
    )
