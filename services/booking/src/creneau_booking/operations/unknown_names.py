"""Unknown parameters of the operations that search: left out with a warning, or refused, as in a search."""

from __future__ import annotations

from collections.abc import Collection

from creneau_shared.errors import Issue
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.storage.store import Resource

GENERAL = frozenset({"_format", "_pretty", "_count", "_summary", "_elements"})


def known_names(definition: Resource, *others: str) -> frozenset[str]:
    """Returns the parameter names that an operation knows: its own, `others`, and those that every call may have."""
    own = {one["name"] for one in definition["parameter"] if one["use"] == "in"}
    return frozenset({*own, *others, *GENERAL})


def refuse_if_strict(
    request: FhirRequest, given: OperationInput, known: Collection[str], operation: str
) -> None:
    """Raises BadRequest if a name is unknown and the caller sent `Prefer: handling=strict`; to be asked before any work."""
    if request.prefer.strict:
        unknown = _unknown(given, known)
        given.refuse_unknown(given.names.difference(unknown), operation)


def unknown_names(given: OperationInput, known: Collection[str], operation: str) -> list[Issue]:
    """Returns a warning for each unknown name."""
    return [
        Issue(
            "not-supported",
            f"Le paramètre « {name} » n'est pas connu de {operation} ; il est laissé de côté.",
            f"{operation} does not know the parameter “{name}”; it was left out.",
            severity="warning",
            details_code="ignored",
        )
        for name in _unknown(given, known)
    ]


def _unknown(given: OperationInput, known: Collection[str]) -> list[str]:
    """Returns the unknown names; `name.identifier` and `name:identifier` are known with their name."""
    plain = {name: name.removesuffix(".identifier").removesuffix(":identifier") for name in given.names}
    return sorted(name for name in given.names if name not in known and plain[name] not in known)
