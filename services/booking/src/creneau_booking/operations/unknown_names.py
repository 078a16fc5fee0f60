"""Unknown parameters of the operations that search: left out with a warning, or refused, as in a search."""

from __future__ import annotations

from collections.abc import Collection

from creneau_shared.errors import Issue
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.parameters import OperationInput


def refuse_if_strict(
    request: FhirRequest, given: OperationInput, known: Collection[str], operation: str
) -> None:
    """Raises BadRequest if a name is unknown and the caller sent `Prefer: handling=strict`; to be asked before any work."""
    if request.prefer.strict:
        given.refuse_unknown(known, operation)


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
        for name in given.unknown(known)
    ]
