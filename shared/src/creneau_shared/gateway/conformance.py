"""The conformance resources of the whole: SearchParameters and OperationDefinitions, readable and searchable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from creneau_shared.errors import BadRequest, NotFound
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.bundle import Entry, Link, query_url, write_bundle
from creneau_shared.fhir.search.parameters import HL7_CANONICAL, SearchParameter
from creneau_shared.fhir.storage.store import Resource

SEARCHABLE = {
    "_id": "token",
    "url": "uri",
    "code": "token",
    "name": "string",
    "base": "token",
    "resource": "token",
    "type": "token",
    "status": "token",
}
"""Search parameters and their types."""
COUNT_MAX = 500


class ConformanceResources:
    """Answers reads and searches of SearchParameter and OperationDefinition."""

    types = frozenset({"SearchParameter", "OperationDefinition"})

    def __init__(self, registry: Mapping[str, Mapping[str, SearchParameter]]) -> None:
        self._parameters = [p.to_resource() for parameters in registry.values() for p in parameters.values()]

    def declarations(self) -> list[Resource]:
        """What the CapabilityStatement says of these types."""
        parameters = [
            {"name": name, "definition": f"{HL7_CANONICAL}conformance-{name.lstrip('_')}", "type": type_}
            for name, type_ in SEARCHABLE.items()
        ]
        return [
            {
                "type": name,
                "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
                "interaction": [{"code": "read"}, {"code": "search-type"}],
                "versioning": "no-version",
                "readHistory": False,
                "updateCreate": False,
                "conditionalCreate": False,
                "conditionalRead": "not-supported",
                "conditionalUpdate": False,
                "conditionalDelete": "not-supported",
                "referencePolicy": ["literal"],
                "searchParam": parameters,
            }
            for name in sorted(self.types)
        ]

    def answer(
        self,
        kind: str,
        rest: Sequence[str],
        query: Sequence[tuple[str, str]],
        base_url: str,
        operations: Sequence[Resource],
    ) -> bytes:
        """One resource by its id, or a searchset of those that match."""
        resources = self._parameters if kind == "SearchParameter" else operations
        if rest:
            found = next((r for r in resources if r["id"] == rest[0]), None) if len(rest) == 1 else None
            if found is None:
                raise NotFound(
                    f"{kind}/{'/'.join(rest)} n'existe pas.", f"{kind}/{'/'.join(rest)} does not exist."
                )
            return dumps(found)
        criteria = [
            (name, value) for name, value in query if name not in ("_format", "_count", "_pretty") and value
        ]
        for name, _ in criteria:
            if name not in SEARCHABLE:
                raise BadRequest(
                    f"{kind} se cherche par {', '.join(SEARCHABLE)}.",
                    f"{kind} is searched by {', '.join(SEARCHABLE)}.",
                    code="not-supported",
                    expression=f"http.{name}",
                )
        matches = [r for r in resources if all(_fits(r, name, value) for name, value in criteria)]
        count = next((int(v) for n, v in query if n == "_count" and v.isdigit()), COUNT_MAX)
        entries = [
            Entry(f"{base_url}/{kind}/{r['id']}", dumps(r), {"mode": "match"}) for r in matches[:count]
        ]
        links = [Link("self", query_url(f"{base_url}/{kind}", criteria))]
        return write_bundle("searchset", entries, total=len(matches), links=links)


def _fits(resource: Resource, name: str, value: str) -> bool:
    own: Any = resource.get("id" if name == "_id" else name, "")
    values = own if isinstance(own, list) else [own]
    return any(wanted in values for wanted in value.split(","))
