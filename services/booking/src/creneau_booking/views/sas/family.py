"""The SAS family: free slots of individual practitioners (INT_R01), and of those in a CPTS (INT_R04).

The answer is one Bundle of the graph Slot → Schedule → Practitioner and PractitionerRole, the role's Location
contained; each resource claims exactly one profile. A slot whose graph cannot meet the profiles is left out:
the aggregator would refuse the whole answer for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

import orjson

from creneau_booking.storage.slots.table import to_come
from creneau_booking.views.sas import codes, query
from creneau_booking.views.sas.facts import Facts
from creneau_booking.views.sas.graph import Graph, SlotGraph
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.bundle import query_url
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Branch,
    Chain,
    Condition,
    Include,
    SearchRequest,
)
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_id

CPTS = ("Slot", "service-type-reference")
"""The include that asks for the CPTS as well (INT_R04)."""


class SasView:
    """The `SearchView` of Slot for the SAS."""

    resource_type = "Slot"

    def asked_by(self, request: FhirRequest) -> bool:
        """Whether the search is the SAS's, by `_profile` or by its shape."""
        return query.is_sas(request.query, by_regulator=request.principal.role == "regulator")

    def pairs(self, request: FhirRequest) -> list[tuple[str, str]]:
        """Returns the query to search by: without `_profile`, which no stored resource claims, and with each national number
        in every form in which it may be stored."""
        query.check(request.query)
        return query.neutral(request.query)

    def widen(self, asked: SearchRequest, now: datetime) -> SearchRequest:
        """Returns the search without slots that have begun, also in agendas that name a role alone, with the includes that
        the answer is rendered from: also all roles of the professionals, whose agendas may name them alone."""
        needed = [
            including("Slot", "schedule"),
            including("Schedule", "actor"),
            including("PractitionerRole", "practitioner"),
            replace(including("PractitionerRole", "practitioner"), reverse=True),
            including("PractitionerRole", "location"),
            including("Location", "partof"),
            including("PractitionerRole", "organization"),
            including("PractitionerRole", "service"),
        ]
        if asks_for(asked, *CPTS):
            needed += [including(*CPTS), including("HealthcareService", "organization")]
        conditions = (*map(with_their_roles, asked.conditions), to_come(now))
        return replace(asked, conditions=conditions, includes=tuple(needed))

    def matches_max(self, asked: SearchRequest) -> int:
        """See `whole_up_to`."""
        return whole_up_to(asked)

    def bundle(self, request: FhirRequest, asked: SearchRequest, result: SearchResult) -> bytes:
        """Returns the searchset. `total` counts its slots, and is left out if there are other pages."""
        cpts = asks_for(asked, *CPTS)
        graph = Graph(Facts(result.included, request.base_url, request.now), cpts=cpts)
        found = [
            answer for row in result.matches if (answer := graph.slot(orjson.loads(row.content))) is not None
        ]
        entries = list(_entries(found, asked, request.base_url))
        whole = result.next_cursor is None and result.previous_cursor is None
        total = result.total if asked.count_only else len(found) if whole else None
        # The CPTS profile wants an entry of each type, a total and one link: an empty answer or a page cannot meet it. Both
        # are sent all the same, with the other profile.
        profile = codes.CPTS_BUNDLE if cpts and found and whole else codes.BUNDLE
        bundle: Resource = {
            "resourceType": "Bundle",
            "id": new_id(),
            "meta": {"profile": [profile]},
            "type": "searchset",
        }
        if total is not None:
            bundle["total"] = total
        bundle["link"] = list(links(request, result, "Slot"))
        return orjson.dumps(bundle | ({"entry": entries} if entries else {}))


def asks_for(asked: SearchRequest, source: str, parameter: str) -> bool:
    """Whether the search includes what `source` refers to by `parameter`."""
    return any(
        include.source == source and not include.reverse and parameter in (p.name for p in include.parameters)
        for include in asked.includes
    )


def _entries(found: Iterable[SlotGraph], asked: SearchRequest, base_url: str) -> Iterator[Resource]:
    """Yields the entries in the order of the official examples: a slot, then the resources that it is the first to need."""
    seen: set[str] = set()
    for answer in found:
        for resource in _shown(answer, asked):
            url = f"{base_url.rstrip('/')}/{resource['resourceType']}/{resource['id']}"
            if url not in seen:
                seen.add(url)
                mode = "match" if resource is answer.slot else "include"
                yield {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def _shown(answer: SlotGraph, asked: SearchRequest) -> Iterator[Resource]:
    """Yields the slot and those resources of its graph that the includes ask for."""
    yield answer.slot
    if asks_for(asked, "Slot", "schedule"):
        yield answer.agenda.schedule
        if asks_for(asked, "Schedule", "actor"):
            yield answer.agenda.practitioner
            yield answer.agenda.role
    if asks_for(asked, *CPTS):
        for service in answer.services:
            yield service.service
            if asks_for(asked, "HealthcareService", "organization"):
                yield service.organization


def links(request: FhirRequest, result: SearchResult, resource_type: str) -> Iterator[Resource]:
    """Yields self with the query byte for byte, which the SAS compares; next only if there is another page."""
    url = f"{request.base_url.rstrip('/')}/{resource_type}"
    own = f"{url}?{request.raw_query}" if request.raw_query else query_url(url, request.query)
    yield {"relation": "self", "url": own}
    if result.next_cursor is not None:
        pairs = [(name, text) for name, text in request.query if name != CURSOR_PARAMETER]
        yield {"relation": "next", "url": query_url(url, [*pairs, (CURSOR_PARAMETER, result.next_cursor)])}


def whole_up_to(asked: SearchRequest) -> int:
    """Returns how many slots one answer may have: SLOTS_MAX, as the SAS follows no next page (fewer where these are more than
    an answer may have in bytes); 0 (one page) if the search asks for a smaller page or a next one."""
    paged = asked.cursor is not None or asked.count < min(query.SLOTS_ON_A_PAGE, asked.limits.count_max)
    return 0 if paged else query.SLOTS_MAX


def with_their_roles(condition: Condition) -> Condition:
    """Extends a condition on the professionals whom agendas name to the professionals whose roles they name: an agenda that
    names a role alone is its professional's."""
    if not isinstance(condition, Chain):
        return condition
    branches = [replace(one, condition=with_their_roles(one.condition)) for one in condition.branches]
    if (condition.parameter.base, condition.parameter.name) == ("Schedule", "actor"):
        whose = parameters_of("PractitionerRole")["practitioner"]
        people = [one for one in branches if one.resource_type == "Practitioner"]
        branches += [Branch("PractitionerRole", Chain(whose, (one,))) for one in people]
    return replace(condition, branches=tuple(branches))


def including(source: str, parameter: str) -> Include:
    """Returns the iterating include of what `source` refers to by `parameter`."""
    return Include(source, (parameters_of(source)[parameter],), iterate=True)
