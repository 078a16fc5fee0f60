"""Common parts of the patch formats: errors, limits and the clean-up of results."""

from __future__ import annotations

from typing import Any, Final

from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir import json
from creneau_shared.fhir.paths.effort import ELEMENTS_MAX

OPERATIONS_MAX: Final = 200
"""Most operations in one patch."""


def malformed(fr: str, en: str, operation: int | None = None) -> BadRequest:
    """The patch itself cannot be read; `operation` counts from 0."""
    return BadRequest(*_numbered(fr, en, operation), code="structure", details_code="patch-malformed")


def inapplicable(fr: str, en: str, operation: int | None = None, path: str | None = None) -> Unprocessable:
    """The patch can be read but does not apply to the resource as it is."""
    return Unprocessable(
        *_numbered(fr, en, operation),
        code="processing",
        expression=(path,) if path else (),
        details_code="patch-inapplicable",
    )


def too_costly() -> Unprocessable:
    """The patch looks at more elements than it may."""
    return Unprocessable(
        f"Les chemins de ce correctif regardent plus de {ELEMENTS_MAX} éléments ; envoyez-en moins à la fois, ou plus précis.",
        f"The paths of this patch look at more than {ELEMENTS_MAX} elements; send fewer at once, or closer ones.",
        code="too-costly",
        details_code="patch-too-costly",
    )


def _numbered(fr: str, en: str, operation: int | None) -> tuple[str, str]:
    if operation is None:
        return f"{fr}.", f"{en}."
    return f"Opération {operation} du correctif : {fr}.", f"Operation {operation} of the patch: {en}."


def check_count(operations: int) -> None:
    if operations > OPERATIONS_MAX:
        raise malformed(
            f"un correctif a {OPERATIONS_MAX} opérations au plus",
            f"a patch has {OPERATIONS_MAX} operations at most",
        )


def check_depth(resource: Any, operation: int | None = None) -> None:
    """Raises Unprocessable if the resource is nested deeper than a body may be, since operations can add up to that."""
    if json.depth(resource) > json.NESTING_MAX:
        raise too_deep(operation)


def too_deep(operation: int | None = None) -> Unprocessable:
    return inapplicable(
        "la ressource devient trop profonde", "the resource becomes too deeply nested", operation
    )


def without_empties(value: Any) -> Any:
    """`value` without the empty lists and objects that removals leave: FHIR has no empty element."""
    if isinstance(value, dict):
        kept = {name: without_empties(child) for name, child in value.items()}
        return {name: child for name, child in kept.items() if child not in ({}, [])}
    if isinstance(value, list):
        return [child for child in map(without_empties, value) if child not in ({}, [])]
    return value
