"""The input of an operation, read leniently: the guides' own examples contradict their declared types.

`valueUri`, `valueUrl`, `valueString`, `valueId`, `valueCode` and `valueReference` are all understood where one of
them is meant; on GET, the parameters of the address are the input.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.exchange import FhirRequest, json_object
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import check


class OperationInput:
    """The named values that an operation was called with."""

    def __init__(self, entries: Iterable[tuple[str, Any]]) -> None:
        self._entries = list(entries)

    @staticmethod
    def of(request: FhirRequest, *, bare: str | None = None) -> OperationInput:
        """The input of a request; a body that is no Parameters is the value of the parameter `bare`."""
        entries: list[tuple[str, Any]] = list(request.query)
        if request.method == "POST" and (request.body.strip() or request.parsed is not None):
            resource = request.resource()
            if resource.get("resourceType") == "Parameters":
                check(resource, "Parameters")
                entries += [_entry(json_object(part)) for part in resource.get("parameter", ())]
            elif bare is not None:
                entries.append((bare, resource))
            else:
                raise BadRequest(
                    "Cette opération attend une ressource Parameters.",
                    "This operation takes a Parameters resource.",
                    code="structure",
                )
        return OperationInput(entries)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self._entries)

    def all(self, *names: str) -> list[Any]:
        """The values under any of these names, in the order given."""
        return [value for name, value in self._entries if name in names]

    def first(self, *names: str) -> Any | None:
        return next(iter(self.all(*names)), None)

    def texts(self, *names: str) -> list[str]:
        """Values that are words: a GET may join several with commas."""
        found: list[str] = []
        for value in self.all(*names):
            if isinstance(value, str):
                found += [part.strip() for part in value.split(",") if part.strip()]
        return found

    def references(self, *names: str) -> list[Resource]:
        """Values that designate a resource, as FHIR References: literal, or logical (identifier only)."""
        found: list[Resource] = []
        for value in self.all(*names):
            if isinstance(value, dict):
                found.append(value)
            elif isinstance(value, str):
                found += [{"reference": part.strip()} for part in value.split(",") if part.strip()]
        return found

    def codes(self, *names: str) -> list[str]:
        """Values that are codes, as search tokens `system|code` or `code`."""
        found: list[str] = []
        for value in self.all(*names):
            if isinstance(value, str):
                found.append(value)
                continue
            for coding in json_object(value).get("coding", [value]):
                system, code = json_object(coding).get("system"), json_object(coding).get("code")
                if code:
                    found.append(f"{system}|{code}" if system else str(code))
        return found

    def resource(self, resource_type: str, *names: str) -> Resource | None:
        """The first value that is a resource of this type; BadRequest when it is of another."""
        value = next((value for value in self.all(*names) if isinstance(value, dict)), None)
        if value is None:
            return None
        if value.get("resourceType") != resource_type:
            raise BadRequest(
                f"Une ressource {resource_type} est attendue ici.",
                f"A {resource_type} resource is expected here.",
                code="structure",
                expression="Parameters.parameter",
            )
        return value


def _entry(part: Resource) -> tuple[str, Any]:
    value = part.get("resource")
    if value is None:
        value = next((v for key, v in part.items() if key.startswith("value")), None)
    return str(part.get("name", "")), value
