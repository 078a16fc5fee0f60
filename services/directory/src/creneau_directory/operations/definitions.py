"""The parts of this folder's OperationDefinitions."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.fhir.storage.store import Resource

CANONICAL = "https://creneau.sante.fr/fhir/OperationDefinition/"


def parameter(
    name: str, type_: str, documentation: str, *, use: str = "in", minimum: int = 0, maximum: str = "1"
) -> Resource:
    """One OperationDefinition.parameter."""
    return {
        "name": name,
        "use": use,
        "min": minimum,
        "max": maximum,
        "documentation": documentation,
        "type": type_,
    }


def read_operation(
    code: str, title: str, description: str, parameters: Sequence[Resource], resources: Sequence[str]
) -> Resource:
    """The definition of a read-only operation on types."""
    id_ = f"{resources[0].lower()}-{code}"
    return {
        "resourceType": "OperationDefinition",
        "id": id_,
        "url": f"{CANONICAL}{id_}",
        "version": "1.0.0",
        "name": resources[0] + "".join(part.title() for part in code.split("-")),
        "title": title,
        "status": "active",
        "kind": "operation",
        "description": description,
        "affectsState": False,
        "code": code,
        "resource": list(resources),
        "system": False,
        "type": True,
        "instance": False,
        "parameter": list(parameters),
    }
