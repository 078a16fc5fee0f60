"""The input of an operation, read leniently: the guides' own examples contradict their declared types.

`valueUri`, `valueUrl`, `valueString`, `valueId`, `valueCode` and `valueReference` are all understood where one of
them is meant; on GET, the parameters of the address are the input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
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
    def of(
        request: FhirRequest,
        *,
        bare: str | None = None,
        read_as: Callable[[Resource], Resource] = lambda resource: resource,
    ) -> OperationInput:
        """The input of a request; a body that is no Parameters is the value of the parameter `bare`. `read_as`: what a guide
        writes against R4, as R4 has it; of each resource that is given, before it is looked at."""
        entries: list[tuple[str, Any]] = list(request.query)
        if request.method == "POST" and (request.body.strip() or request.parsed is not None):
            resource = request.resource()
            if resource.get("resourceType") == "Parameters":
                resource = _each_read_as(resource, read_as)
                check(resource, "Parameters")
                entries += [_entry(json_object(part)) for part in resource.get("parameter", ())]
            elif bare is not None:
                entries.append((bare, read_as(resource)))
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

    def refuse_unknown(self, known: Collection[str], operation: str) -> None:
        """BadRequest for a name that the operation does not know: for who wants to know (`Prefer: handling=strict`)."""
        unknown = sorted(self.names.difference(known))
        if unknown:
            raise BadRequest(
                f"Le paramètre « {unknown[0]} » n'est pas connu de {operation}.",
                f"{operation} does not know the parameter “{unknown[0]}”.",
                code="not-supported",
                expression=f"http.{unknown[0]}",
            )

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

    def boolean(self, *names: str) -> bool | None:
        """The first value, as yes or no, whether it came as a boolean or as a word; None: not said. BadRequest for what is
        neither."""
        name, value = next(((name, value) for name, value in self._entries if name in names), ("", None))
        if value is None or value == "":
            return None
        said = str(value).lower()
        if said not in ("true", "false"):
            raise BadRequest(
                f"{name} attend true ou false ; reçu « {value} ».",
                f"{name} takes true or false; got “{value}”.",
                code="value",
                expression=f"http.{name}",
            )
        return said == "true"

    def references(self, *names: str) -> list[Resource]:
        """Values that designate a resource, as FHIR References: literal, or logical (identifier only). A search's spellings
        are understood, too: `system|value`, and `name.identifier` or `name:identifier` with any value."""
        return [reference for some in self.alternatives(*names) for reference in some]

    def alternatives(self, *names: str) -> list[list[Resource]]:
        """As `references`, those together that one value gives (joined by commas)."""
        by_identifier = {f"{name}{sign}identifier" for name in names for sign in ".:"}
        found: list[list[Resource]] = []
        for name, value in self._entries:
            if name not in names and name not in by_identifier:
                continue
            if isinstance(value, dict):
                found.append([value])
            elif isinstance(value, str):
                parts = [part.strip() for part in value.split(",") if part.strip()]
                found.append([_reference(part, name in by_identifier) for part in parts])
        return [some for some in found if some]

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


def _reference(text: str, by_identifier: bool) -> Resource:
    """A Reference as a search names it: by id, or by `system|value`."""
    system, bar, value = text.rpartition("|")
    if not bar and not by_identifier:
        return {"reference": text}
    return {"identifier": {"system": system, "value": value} if system else {"value": value}}


def _each_read_as(parameters: Resource, read_as: Callable[[Resource], Resource]) -> Resource:
    parts = parameters.get("parameter")
    if not isinstance(parts, list):
        return parameters  # to be refused by the check
    read = [
        {**part, "resource": read_as(part["resource"])}
        if isinstance(part, dict) and isinstance(part.get("resource"), dict)
        else part
        for part in parts
    ]
    return {**parameters, "parameter": read}


def _entry(part: Resource) -> tuple[str, Any]:
    value = part.get("resource")
    if value is None:
        value = next((v for key, v in part.items() if key.startswith("value")), None)
    return str(part.get("name", "")), value
