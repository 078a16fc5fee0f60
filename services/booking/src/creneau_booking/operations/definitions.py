"""The pieces that the OperationDefinitions of this folder are made of."""

from __future__ import annotations

from typing import Any

from creneau_shared.fhir.storage.store import Resource

CANONICAL = "https://creneau.sante.fr/fhir/OperationDefinition/"


def parameter(
    name: str, type_: str | None, *, use: str = "in", minimum: int = 0, maximum: str = "1", **more: Any
) -> Resource:
    """One OperationDefinition.parameter; without a type it has parts."""
    kind = {} if type_ is None else {"type": type_}
    return {"name": name, "use": use, "min": minimum, "max": maximum, **kind, **more}


def returned_visits() -> Resource:
    """What the operations that write appointments return."""
    told = (
        "The Appointment. A Bundle where there may be several (a series, `scope`) and where it was asked for in Argonaut's or"
        " IHE's spelling (`appt-id`, `appointment-reference`, `appointment-resource`)."
    )
    return parameter("return", "Resource", use="out", minimum=1, documentation=told)


def operation_definition(
    code: str,
    title: str,
    description: str,
    parameters: list[Resource],
    *,
    affects_state: bool,
    type_level: bool = True,
    instance: bool = False,
    base: str | None = None,
    resource: str = "Appointment",
) -> Resource:
    """An OperationDefinition on Appointment, or on another type."""
    id_ = f"{resource.lower()}-{code}"
    definition: Resource = {
        "resourceType": "OperationDefinition",
        "id": id_,
        "url": f"{CANONICAL}{id_}",
        "version": "1.0.0",
        "name": resource + "".join(word.title() for word in code.split("-")),
        "title": title,
        "status": "active",
        "kind": "operation",
        "description": description,
        "affectsState": affects_state,
        "code": code,
        "resource": [resource],
        "system": False,
        "type": type_level,
        "instance": instance,
        "parameter": parameters,
    }
    if base is not None:
        definition["base"] = base
    return definition
