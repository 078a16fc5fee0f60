"""What our OperationDefinitions are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from creneau_shared.fhir.storage.store import Resource

CANONICAL = "https://creneau.sante.fr/fhir/OperationDefinition/"


def parameter(
    name: str,
    type_: str | None,
    documentation: str | None = None,
    *,
    use: str = "in",
    minimum: int = 0,
    maximum: str = "1",
    **more: Any,
) -> Resource:
    """One OperationDefinition.parameter; without a type it has parts. `more`: its other elements, such as `part`."""
    told = {} if documentation is None else {"documentation": documentation}
    kind = {} if type_ is None else {"type": type_}
    return {"name": name, "use": use, "min": minimum, "max": maximum, **told, **kind, **more}


def operation_definition(
    code: str,
    title: str,
    description: str,
    parameters: Sequence[Resource],
    *,
    affects_state: bool,
    resources: Sequence[str] = (),
    type_level: bool = True,
    instance: bool = False,
    base: str | None = None,
    id_: str | None = None,
) -> Resource:
    """An OperationDefinition of ours, on types (`type_level`: on each as a whole; `instance`: on one of its resources);
    without `resources` on the base itself.

    `base`: the canonical of the guide's operation that it implements. `id_`: its id, if it is not the first type and the
    code (`appointment-find`; on the base `dead-letters`).
    """
    id_ = id_ or "-".join([*(type_.lower() for type_ in resources[:1]), code])
    return {
        "resourceType": "OperationDefinition",
        "id": id_,
        "url": f"{CANONICAL}{id_}",
        "version": "1.0.0",
        "name": "".join([*resources[:1], *(word.title() for word in code.split("-"))]),
        "title": title,
        "status": "active",
        "kind": "operation",
        "description": description,
        "affectsState": affects_state,
        "code": code,
        **({"base": base} if base else {}),
        **({"resource": list(resources)} if resources else {}),
        "system": not resources,
        "type": bool(resources) and type_level,
        "instance": instance,
        "parameter": list(parameters),
    }
