"""Search parameters as FHIR resources (R4 searchparameter.html): one per canonical, whatever the number of types that it
searches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from creneau_shared.fhir.search.parameters import ANY_TYPE, HL7_CANONICAL, SearchParameter

_COMPARATORS = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


def search_parameters(registry: Mapping[str, Mapping[str, SearchParameter]]) -> list[dict[str, Any]]:
    """The registry (type → name → parameter) as SearchParameters, in the order of their first mention."""
    by_canonical: dict[str, list[SearchParameter]] = {}
    for parameters in registry.values():
        for parameter in parameters.values():
            by_canonical.setdefault(parameter.url, []).append(parameter)
    return [_resource(url, same) for url, same in by_canonical.items()]


def _resource(url: str, same: Sequence[SearchParameter]) -> dict[str, Any]:
    """The SearchParameter that one or several types have under one canonical. One on elements that every type has is
    stated on Resource, as HL7 does it."""
    first, id_ = same[0], url.rpartition("/")[2].replace("_", "-")
    expressions = _distinct(parameter.expression for parameter in same)
    general = len(same) > 1 and len(expressions) == 1 and not expressions[0].startswith(f"{first.base}.")
    resource: dict[str, Any] = {
        "resourceType": "SearchParameter",
        "id": id_,
        "url": url,
        "version": "4.0.1" if url.startswith(HL7_CANONICAL) else "1.0.0",
        "name": _name(id_),
        "status": "active",
        "description": _description(same, general),
        "code": first.name,
        "base": [ANY_TYPE] if general else _distinct(parameter.base for parameter in same),
        "type": first.type,
        "multipleOr": first.name != "_filter",
        "multipleAnd": True,
    }
    if expressions != [""]:
        resource |= {"expression": " | ".join(expressions), "xpathUsage": "normal"}
    if first.modifiers:
        resource["modifier"] = list(first.modifiers)
    if targets := _distinct(target for parameter in same for target in parameter.targets):
        resource["target"] = targets
    if first.type in ("date", "number", "quantity"):
        resource["comparator"] = list(_COMPARATORS)
    return resource


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _description(same: Sequence[SearchParameter], general: bool) -> str:
    said = _distinct(parameter.description for parameter in same)
    return f"Resources by {same[0].expression}" if general and len(said) > 1 else "; ".join(said)


def _name(id_: str) -> str:
    """`Slot-service-type` → `SlotServiceType`: R4 wants a name that a program can use as an identifier."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", id_))
