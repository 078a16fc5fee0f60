"""Merges fragments into a resource: several lines about one professional become one Practitioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from creneau_directory.loading.pieces import Resource

_ONCE = frozenset({"name", "address", "telecom", "partOf", "meta"})
"""elements that are taken whole from the first fragment that has them"""


def merged(fragments: Sequence[Resource]) -> Resource:
    """Merges the fragments: the first value of an element counts, lists are joined without repetition; a position of the
    place itself replaces that of its commune."""
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
    """Returns the resource as inactive: entries may still refer to it, but searches for active ones do not find it."""
    if resource["resourceType"] == "Location":
        return {**resource, "status": "inactive"}
    if resource["resourceType"] == "Endpoint":
        return {**resource, "status": "off"}
    if resource["resourceType"] == "Device":
        return {**resource, "status": "inactive"}
    return {**resource, "active": False}
