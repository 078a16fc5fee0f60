"""The conformance resources of the whole: definitions and terminology, to read, search and ask questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from creneau_gateway.conformance.search import (
    PARAMETERS,
    Query,
    check_limits,
    criterion,
    sorted_by,
    unknown_names,
)
from creneau_shared.clock import Clock
from creneau_shared.errors import BadRequest, Issue, NotFound, NotImplementedByServer
from creneau_shared.fhir.datatypes import whole_number
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest.capability import COUNT, with_etag
from creneau_shared.fhir.rest.exchange import Answer, asked_count, json_object
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.published import search_parameters
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.structure_definitions import structure_definitions
from creneau_shared.fhir.summary import SummaryMode, select_elements, summarise
from creneau_shared.fhir.terminology import code_systems, value_sets
from creneau_shared.fhir.terminology.operations import OPERATIONS, Call
from creneau_shared.fhir.validation import check

COUNT_DEFAULT: Final = 200
COUNT_MAX: Final = 1_000
_RESULT: Final = frozenset(
    {"_count", "_elements", "_sort", "_summary", "_total", "_format", "_pretty", CURSOR_PARAMETER}
)
_SUMMARIES: Final[Mapping[str, SummaryMode | None]] = {
    "true": "true",
    "text": "text",
    "data": "data",
    "count": None,
    "false": None,
}
"""The values of `_summary`; None: the resource is shown whole, or not at all."""


class ConformanceResources:
    """Answers for SearchParameter, OperationDefinition, StructureDefinition, CodeSystem and ValueSet."""

    types = frozenset(PARAMETERS)

    def __init__(
        self,
        registry: Mapping[str, Mapping[str, SearchParameter]],
        served: Sequence[str],
        base_url: str,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._served = tuple(sorted(served))
        self._base_url = base_url
        self._clock = clock

    @cached_property
    def _fixed(self) -> Mapping[str, Sequence[Resource]]:
        """Resources that need no service; made at first use."""
        return {
            "SearchParameter": search_parameters(self._registry),
            "StructureDefinition": structure_definitions(self._served),
            "CodeSystem": code_systems(),
            "ValueSet": value_sets(),
        }

    def declarations(self) -> list[Resource]:
        """What the CapabilityStatement says of these types."""
        return [_declaration(name) for name in sorted(self.types)]

    def with_own(self, operations: Sequence[Resource]) -> list[Resource]:
        """The services' OperationDefinitions and those of the terminology operations."""
        return [*operations, *(operation.definition for operation in OPERATIONS.values())]

    def read(
        self,
        kind: str,
        rest: Sequence[str],
        query: Query,
        if_none_match: str | None,
        operations: Sequence[Resource],
        *,
        strict: bool,
        language: Language,
    ) -> Answer:
        """One resource by its id, or a searchset of those that match; `strict`: nothing that is unknown is left out."""
        resources = self._fixed.get(kind) or self.with_own(operations)
        if not rest:
            check_limits(query)
            remarks: list[Entry] = []
            if not strict:
                query, remarks = _understood(kind, query, language)
            return Answer(200, self._search(kind, resources, query, remarks))
        found = next((r for r in resources if r["id"] == rest[0]), None) if len(rest) == 1 else None
        if found is None:
            address = "/".join((kind, *rest))
            raise NotFound(f"{address} n'existe pas.", f"{address} does not exist.")
        return with_etag(if_none_match, dumps(_part_of(query)(found)))

    def _search(
        self, kind: str, resources: Sequence[Resource], query: Query, remarks: Sequence[Entry]
    ) -> bytes:
        criteria = _criteria(query)
        fulfilled = [criterion(kind, name, value) for name, value in criteria]
        found = [r for r in resources if all(fulfils(r) for fulfils in fulfilled)]
        found = sorted_by(found, kind, _last(query, "_sort") or "")
        count, start = asked_count(query, COUNT_DEFAULT, COUNT_MAX), _start(query)
        counted = _last(query, "_summary") == "count" or count == 0
        page = [] if counted else found[start : start + count]
        part = _part_of(query)
        entries = [
            Entry(f"{self._base_url}/{kind}/{r['id']}", dumps(part(r)), {"mode": "match"}) for r in page
        ]
        links = self._links(kind, criteria, query, None if counted else (start, count, len(found)))
        return write_bundle("searchset", [*entries, *remarks], total=len(found), links=links)

    def _links(
        self, kind: str, criteria: Query, query: Query, page: tuple[int, int, int] | None
    ) -> list[Link]:
        """self as it was understood and, of a page (start, count, total), its neighbours."""
        url = f"{self._base_url}/{kind}"
        kept = ("_count", "_elements", "_format", "_sort", "_summary")
        used = [*criteria, *((name, value) for name, value in query if name in kept and value)]
        start = page[0] if page else 0
        own = [*used, (CURSOR_PARAMETER, str(start))] if start else used
        links = [Link("self", query_url(url, own))]
        if page is None:
            return links
        _, count, total = page
        if start:
            links.append(Link("first", query_url(url, used)))
            before = str(max(start - count, 0))
            links.append(Link("previous", query_url(url, [*used, (CURSOR_PARAMETER, before)])))
        if start + count < total:
            links.append(Link("next", query_url(url, [*used, (CURSOR_PARAMETER, str(start + count))])))
        return links

    def operate(self, path: Sequence[str], query: Query, body: Resource | None, language: Language) -> Answer:
        """A terminology operation: `Type/$code` or `Type/[id]/$code`."""
        kind, code = path[0], path[-1].removeprefix("$")
        operation = OPERATIONS.get((kind, code))
        level = {2: "type", 3: "instance"}.get(len(path), "")
        if operation is None or not operation.definition.get(level):
            raise NotImplementedByServer(
                f"L'opération ${code} n'existe pas à cette adresse.",
                f"The operation ${code} does not exist at this address.",
            )
        entries: list[tuple[str, Any]] = [(name, value) for name, value in query if value]
        if body is not None:
            check(body, "Parameters")
            entries += [_entry(json_object(part)) for part in body.get("parameter", ())]
        id_ = path[1] if level == "instance" else None
        call = Call(kind, id_, entries, language, self._clock.now())
        return Answer(200, dumps(operation.answer(call)))


def _declaration(name: str) -> Resource:
    declared: Resource = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal"],
        "searchParam": [*(parameter.declaration() for parameter in PARAMETERS[name].values()), COUNT],
    }
    offered = [
        {"name": code, "definition": str(operation.definition["url"])}
        for (type_, code), operation in OPERATIONS.items()
        if type_ == name
    ]
    return declared | ({"operation": offered} if offered else {})


def _entry(part: Resource) -> tuple[str, Any]:
    """The name and value of one parameter of a Parameters resource."""
    value = next((v for key, v in part.items() if key.startswith("value")), part.get("resource"))
    return str(part["name"]), value


def _criteria(query: Query) -> list[tuple[str, str]]:
    return [(name, value) for name, value in query if name.partition(":")[0] not in _RESULT and value]


def _understood(kind: str, query: Query, language: Language) -> tuple[Query, list[Entry]]:
    """The query without unknown names, and the warnings about these."""
    unknown = unknown_names(kind, _criteria(query), _last(query, "_sort") or "")
    if not unknown:
        return query, []
    issues = [
        Issue(
            "not-supported",
            f"{kind} ne se cherche pas par « {name} » ; ignoré",
            f"{kind} is not searched by “{name}”; ignored",
            expression=(f"http.{name}",),
            severity="warning",
            details_code="ignored",
        )
        for name in unknown
    ]
    kept = [(name, _without(value, unknown) if name == "_sort" else value) for name, value in query]
    outcome = outcome_entry(dumps(operation_outcome(issues, language)))
    return [(name, value) for name, value in kept if name not in unknown], [outcome]


def _without(keys: str, unknown: Sequence[str]) -> str:
    return ",".join(key for key in keys.split(",") if key.removeprefix("-") not in unknown)


def _last(query: Query, name: str) -> str | None:
    return next((value for key, value in reversed(query) if key == name), None)


def _start(query: Query) -> int:
    """Where the page starts. The resources change with the release only, so a number serves as cursor."""
    text = _last(query, CURSOR_PARAMETER) or "0"
    start = whole_number(text)
    if start is None:
        raise BadRequest(
            "Ce lien de page est illisible ; repartez de la première page.",
            "This page link is unreadable; start again from the first page.",
            expression=f"http.{CURSOR_PARAMETER}",
            details_code="cursor",
        )
    return start


def _part_of(query: Query) -> Callable[[Resource], Resource]:
    """What of a resource is shown: `_summary`, `_elements`, or all of it."""
    summary, elements = _last(query, "_summary"), _last(query, "_elements")
    if summary and summary not in _SUMMARIES:
        raise BadRequest(
            f"_summary vaut « {summary} » ; valeurs possibles : {', '.join(_SUMMARIES)}.",
            f"_summary is “{summary}”; possible values: {', '.join(_SUMMARIES)}.",
            code="value",
            expression="http._summary",
        )
    mode = _SUMMARIES[summary or "false"]
    if mode is not None:
        return lambda resource: summarise(resource, mode)
    if elements:
        return lambda resource: select_elements(resource, elements.split(","))
    return lambda resource: resource
