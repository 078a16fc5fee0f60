"""From fragments to a resource: several lines about one professional become one Practitioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from creneau_directory.loading.pieces import Resource

_ONCE = frozenset({"name", "address", "telecom", "partOf", "meta"})
"""Elements of which the first line that has them decides."""


def merged(fragments: Sequence[Resource]) -> Resource:
    """What all the fragments say together: the first word counts, lists are joined without repetition; a position that is
    given by itself is better than that of the commune."""
    whole: Resource = {}
    for fragment in fragments:
        for element, value in fragment.items():
            if element not in whole:
                whole[element] = value
            elif element == "position":
                whole[element] = _better(whole[element], value)
            elif isinstance(value, list) and element not in _ONCE:
                whole[element] = [*whole[element], *(one for one in value if one not in whole[element])]
    return whole


def _better(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    return after if "extension" in before else before


def ended(resource: Resource) -> Resource:
    """The resource as one that is no more: still there for whoever names it, found by nobody who looks for what is active."""
    if resource["resourceType"] == "Location":
        return {**resource, "status": "inactive"}
    if resource["resourceType"] == "Endpoint":
        return {**resource, "status": "off"}
    if resource["resourceType"] == "Device":
        return {**resource, "status": "inactive"}
    return {**resource, "active": False}
