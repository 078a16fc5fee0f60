"""Who sees what of the ROR: sensitive units (`uniteSensible`) and contacts by their level of confidentiality (TRE_R283).

Level 1 is open to all. Level 2 (restricted) is for those who give care: professionals, practices and their software, the
regulators, the deployment. Any other level, and one without a code, is for the organisation's own people and the deployment.
A sensitive unit is for the organisation's own people, the regulators and the deployment; everybody else sees only its id,
and no search finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from creneau_directory.domain.ror.urls import EXTENSION, SENSITIVE_UNIT, Resource, codes, extensions, value_of

SENSITIVE_TERM: Final = "~sensitive"
"""Internal term of an offer that is a sensitive unit."""
_LEVEL: Final = "confidentiality-level"
_FREE, _RESTRICTED = "1", "2"
MARKS: Final = (b"confidentiality-level", b"sensitive-unit")
"""texts of which at least one is in the bytes of a resource that may have something to hide"""

_WITH_LEVELS: Final = ("telecom", "contact", "extension")
"""the elements of a resource in which levels of confidentiality may be stated"""

_CONTACT_SYSTEMS: Final = ("phone", "fax", "email", "pager", "url", "sms", "other")
"""ContactPoint.system"""
_SPACES: Final = re.compile(r"[\s.\-]")

_OWNERS: Final = {
    "Organization": ("partOf",),
    "HealthcareService": ("providedBy",),
    "Location": ("managingOrganization",),
    "PractitionerRole": ("organization",),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """The caller as a reader: sees all, gives care, regulates; the Organizations (ids) for which they speak."""

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
    """Whether the resource is one of these organisations, or names one of them as its owner (for a part: `partOf`)."""
    kind = resource["resourceType"]
    if kind == "Organization" and resource.get("id") in organizations:
        return True
    for element in _OWNERS.get(kind, ()):
        reference = str(resource.get(element, {}).get("reference", ""))
        if reference.rpartition("/")[2] in organizations:
            return True
    return False


def seen_by(viewer: Viewer, resource: dict[str, Any]) -> dict[str, Any]:
    """Returns the resource as the viewer may see it; the same object if they may see the whole."""
    if viewer.everything or belongs_to(resource, viewer.organizations):
        return resource
    if is_sensitive(resource) and not viewer.regulates:
        return masked(resource)
    levels = _levels_of(viewer)
    if not any(element in resource for element in _WITH_LEVELS):
        return resource
    left = {
        name: _without_confidential(value, levels) if name in _WITH_LEVELS else value
        for name, value in resource.items()
    }
    return {name: value for name, value in left.items() if value not in ([], {})}


@dataclass(frozen=True, slots=True)
class Withheld:
    """Parts of some versions of a resource that a viewer may not see: contacts by their addresses, and any part with a
    level, written without the level."""

    addresses: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.addresses or self.parts)

    def __or__(self, other: Withheld) -> Withheld:
        return Withheld(self.addresses | other.addresses, self.parts | other.parts)

    def but(self, resource: Resource) -> Withheld:
        """Returns these parts without those that the resource shows."""
        shown = [part for element in _WITH_LEVELS for part in _parts(resource.get(element))]
        return Withheld(
            self.addresses - {address for part in shown for address in _addresses(part)},
            self.parts - {_plain(part) for part in shown},
        )

    def taken_out_of(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Returns the resource without these parts; the same object if it has none of them."""
        left = {
            name: self._out_of(value) if name in _WITH_LEVELS else value for name, value in resource.items()
        }
        left = {name: value for name, value in left.items() if value not in ([], {})}
        return resource if left == resource else left

    def _out_of(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._out_of(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._out_of(part) for part in value if not self._has(part)]
        return value

    def _has(self, part: Any) -> bool:
        return not self.addresses.isdisjoint(_addresses(part)) or _plain(part) in self.parts


def withheld_from(viewer: Viewer, resource: dict[str, Any]) -> Withheld:
    """The parts of this resource that the viewer may not see because of their level of confidentiality."""
    if viewer.everything or belongs_to(resource, viewer.organizations):
        return Withheld()
    levels = _levels_of(viewer)
    above = [
        part for element in _WITH_LEVELS for part in _parts(resource.get(element)) if _is_above(part, levels)
    ]
    addresses = frozenset(address for part in above for address in _addresses(part))
    return Withheld(addresses, frozenset(map(_plain, above)))


def _parts(value: Any) -> Iterator[Any]:
    """Yields the members of all lists, at any depth."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _parts(part)
    elif isinstance(value, list):
        for part in value:
            yield part
            yield from _parts(part)


def _addresses(part: Any) -> Iterator[str]:
    """Yields the values of the ContactPoints within a part, in small letters, without spaces, dots and hyphens."""
    if isinstance(part, Mapping):
        if isinstance(part.get("value"), str) and "system" in part and part["system"] in _CONTACT_SYSTEMS:
            yield _SPACES.sub("", part["value"]).lower()
        for value in part.values():
            yield from _addresses(value)
    elif isinstance(part, list):
        for value in part:
            yield from _addresses(value)


def _plain(part: Any) -> str:
    """A part without its levels, as JSON with sorted keys."""
    return json.dumps(_without_levels(part), sort_keys=True, default=str)


def _without_levels(value: Any) -> Any:
    if isinstance(value, Mapping):
        found = {name: _without_levels(part) for name, part in value.items()}
        return {name: part for name, part in found.items() if part not in ([], {})}
    if isinstance(value, list):
        return [_without_levels(part) for part in value if not _is_level(part)]
    return value


def masked(resource: Resource, keeping: Collection[str] = ()) -> dict[str, Any]:
    """A sensitive unit as everybody sees it: its id, the flag, and the elements in `keeping`."""
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


def _without_confidential(value: Any, levels: Set[str]) -> Any:
    """The value without the elements whose level is not in `levels`; lists and elements left empty are removed too."""
    if isinstance(value, Mapping):
        found = {name: _without_confidential(part, levels) for name, part in value.items()}
        return {name: part for name, part in found.items() if part not in ([], {})}
    if isinstance(value, list):
        kept = [part for part in value if not _is_above(part, levels)]
        return [left for part in kept if (left := _without_confidential(part, levels)) not in ([], {})]
    return value


def _levels_of(viewer: Viewer) -> set[str]:
    """The levels that the viewer may see in resources of others."""
    return {_FREE, _RESTRICTED} if viewer.cares or viewer.regulates else {_FREE}


def _is_above(part: Any, levels: Set[str]) -> bool:
    """Whether an element itself states a level that is not in `levels`, or one without a code, which nobody can read."""
    if not isinstance(part, Mapping):
        return False
    stated = [codes(value_of(one)) for one in part.get("extension", ()) if _is_level(one)]
    return any(not level or not levels >= set(level) for level in stated)


def _is_level(part: Any) -> bool:
    """Whether this is the extension that states a level."""
    url = str(part.get("url", "")) if isinstance(part, Mapping) else ""
    return url.startswith(EXTENSION) and url.endswith(_LEVEL)
