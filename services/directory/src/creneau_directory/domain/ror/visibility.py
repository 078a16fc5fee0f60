"""Who sees what of the ROR: sensitive units (`uniteSensible`) and contacts by their level of confidentiality (TRE_R283).

Level 1 is free to all. Level 2 (restricted) is for those who care: professionals, practices and their software, the
regulators, the deployment. Any other is for the organisation's own people and the deployment. A sensitive unit is for
the organisation's own, the regulators and the deployment; to everybody else only its id is shown, and no search finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from creneau_directory.domain.ror.urls import EXTENSION, SENSITIVE_UNIT, Resource, codes, extensions, value_of

SENSITIVE_TERM: Final = "~sensitive"
"""Internal term of an offer that is a sensitive unit."""
_LEVEL: Final = "confidentiality-level"
_FREE, _RESTRICTED = "1", "2"
MARKS: Final = (b"confidentiality-level", b"sensitive-unit")
"""What the bytes of a resource have in them when anything may have to be left out of it."""

_WITH_LEVELS: Final = ("telecom", "contact", "extension")
"""The elements of a resource within which levels of confidentiality stand."""

_OWNERS: Final = {
    "Organization": ("partOf",),
    "HealthcareService": ("providedBy",),
    "Location": ("managingOrganization",),
    "PractitionerRole": ("organization",),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: whether they see all, care for patients, regulate; for which Organizations (ids) they speak."""

    everything: bool = False
    cares: bool = False
    regulates: bool = False
    organizations: frozenset[str] = frozenset()


EVERYBODY: Final = Viewer()


def is_sensitive(resource: Resource) -> bool:
    """Whether an offer is a sensitive unit."""
    if resource["resourceType"] != "HealthcareService":
        return False
    return any(value_of(extension) is True for extension in extensions(resource, SENSITIVE_UNIT))


def belongs_to(resource: Resource, organizations: Collection[str]) -> bool:
    """Whether the resource is one of these organisations' or of a part of theirs, by what it says itself."""
    kind = resource["resourceType"]
    if kind == "Organization" and resource.get("id") in organizations:
        return True
    for element in _OWNERS.get(kind, ()):
        reference = str(resource.get(element, {}).get("reference", ""))
        if reference.rpartition("/")[2] in organizations:
            return True
    return False


def seen_by(viewer: Viewer, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as the viewer may see it; the very same when they see the whole of it."""
    if viewer.everything or belongs_to(resource, viewer.organizations):
        return resource
    if is_sensitive(resource) and not viewer.regulates:
        return masked(resource)
    levels = {_FREE, _RESTRICTED} if viewer.cares or viewer.regulates else {_FREE}
    if not any(element in resource for element in _WITH_LEVELS):
        return resource
    left = {
        name: _without_confidential(value, levels) if name in _WITH_LEVELS else value
        for name, value in resource.items()
    }
    return {name: value for name, value in left.items() if value not in ([], {})}


def masked(resource: Resource, keeping: Collection[str] = ()) -> dict[str, Any]:
    """A sensitive unit as everybody sees it: that it is there, and `keeping` (elements)."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k in ("versionId", "lastUpdated")}
    meta["security"] = [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "MASKED"}
    ]
    kept = {name: resource[name] for name in keeping if name in resource}
    flag = [{"url": SENSITIVE_UNIT, "valueBoolean": True}]
    return {
        "resourceType": resource["resourceType"],
        "id": resource["id"],
        "meta": meta,
        "extension": flag,
        **kept,
    }


def _without_confidential(value: Any, levels: Collection[str]) -> Any:
    """The value without the elements whose level is not among these; lists and elements that are left empty go too."""
    if isinstance(value, Mapping):
        found = {name: _without_confidential(part, levels) for name, part in value.items()}
        return {name: part for name, part in found.items() if part not in ([], {})}
    if isinstance(value, list):
        kept = [part for part in value if not _is_above(part, levels)]
        return [left for part in kept if (left := _without_confidential(part, levels)) not in ([], {})]
    return value


def _is_above(part: Any, levels: Collection[str]) -> bool:
    """Whether an element states a level of its own that is not among these."""
    if not isinstance(part, Mapping):
        return False
    stated = [
        code
        for extension in part.get("extension", ())
        if str(extension.get("url", "")).startswith(EXTENSION) and extension["url"].endswith(_LEVEL)
        for code in codes(value_of(extension))
    ]
    return any(code not in levels for code in stated)
