"""Links between the entries of a transaction that are no References (FHIR R4 http.html#trules): elements of the types uri,
url, oid and uuid, and `href` and `src` in narratives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any

from creneau_shared.fhir.definitions import TypeDefinition, UnknownTypeError, type_definition
from creneau_shared.fhir.storage.store import Resource

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_IN_NARRATIVE = re.compile(r"""(?P<begin>\b(?:href|src)\s*=\s*(?P<quote>["']))(?P<link>[^"'<>]*)(?P=quote)""")


def rewrite_links(resource: Resource, given: Mapping[str, str]) -> set[str]:
    """Rewrites, in place, each link that is an entry's fullUrl to the entry's reference once stored, as `given` has it.
    Returns the references that were written. The resource need not be valid: what it has of no known type is left."""
    written: set[str] = set()

    def link(text: str) -> str:
        if text in given:
            written.add(given[text])
        return given.get(text, text)

    def in_narrative(match: re.Match[str]) -> str:
        said = unescape(match["link"])
        return f"{match['begin']}{link(said)}{match['quote']}" if said in given else match[0]

    pending: list[tuple[str, Any]] = [("Resource", resource)]
    while pending:
        name, node = pending.pop()
        known = _type_of(name, node)
        if known is None:
            continue
        for element in known.elements:
            value = node.get(element.name)
            if element.kind == "xhtml" and isinstance(value, str):
                node[element.name] = _IN_NARRATIVE.sub(in_narrative, value)
            elif element.type in _LINKS:
                node |= _each(element.name, value, link)
            # What stands beside a primitive value are its id and extensions.
            beside = ("Element", node.get(f"_{element.name}")) if element.kind == "primitive" else None
            for kind, found in filter(None, ((element.type, value), beside)):
                if isinstance(found, dict | list):
                    pending += ((kind, one) for one in (found if isinstance(found, list) else [found]))
    return written


def _each(name: str, value: Any, link: Callable[[str], str]) -> dict[str, Any]:
    """The element as a member, each of its texts as `link` gives it; nothing where it has none."""
    if isinstance(value, str):
        return {name: link(value)}
    if isinstance(value, list):
        return {name: [link(one) if isinstance(one, str) else one for one in value]}
    return {}


def _type_of(name: str, node: Any) -> TypeDefinition | None:
    if not isinstance(node, dict):
        return None
    try:
        return type_definition(str(node.get("resourceType")) if name == "Resource" else name)
    except UnknownTypeError:
        return None
