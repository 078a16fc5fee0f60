"""The SAS family: free slots of individual practitioners (INT_R01), and of those in a CPTS (INT_R04).

The answer is one Bundle of the graph Slot → Schedule → Practitioner and PractitionerRole, the role's Location
contained; each resource claims exactly one profile. A slot whose graph cannot meet the profiles is left out:
the aggregator would refuse the whole answer for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from creneau_booking.views import sas_codes as codes
from creneau_booking.views import sas_query
from creneau_booking.views.sas_cpts import cpts_organization, cpts_service, cpts_slot, service_references
from creneau_booking.views.sas_resources import location, practitioner, role, schedule, slot
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.bundle import query_url
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import Clause, DateValue, Include, SearchRequest
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_id

CPTS = ("Slot", "service-type-reference")
"""The include that asks for the CPTS as well (INT_R04)."""


class SasView:
    """The `SearchView` of Slot for the SAS."""

    def asked_by(self, request: FhirRequest) -> bool:
        """By `_profile`, or by the shape of the SAS's own query."""
        return sas_query.is_sas(request.query)

    def pairs(self, request: FhirRequest) -> list[tuple[str, str]]:
        """Stored facts are neutral: the profile is no criterion, and a number may have its prefix or not."""
        sas_query.check(request.query)
        return sas_query.neutral(request.query)

    def widen(self, asked: SearchRequest, now: datetime) -> SearchRequest:
        """Nothing that has begun; and the whole graph, with the places and structures that are drawn into it."""
        begun = Clause(parameters_of("Slot")["start"], None, ((_from(now),),))
        needed = [
            _include("Slot", "schedule"),
            _include("Schedule", "actor"),
            _include("PractitionerRole", "location"),
            _include("PractitionerRole", "organization"),
        ]
        if asks_for(asked, *CPTS):
            needed += [_include(*CPTS), _include("HealthcareService", "organization")]
        return replace(asked, conditions=(*asked.conditions, begun), includes=tuple(needed))

    def bundle(self, request: FhirRequest, asked: SearchRequest, result: SearchResult) -> bytes:
        """The searchset; `total` counts the slots in it, and is left out when there are more than fit on a page."""
        cpts = asks_for(asked, *CPTS)
        graph = Graph(Facts(result.included, request.base_url), cpts=cpts)
        found = [answer for row in result.matches if (answer := graph.slot(loads(row.content))) is not None]
        entries = list(_entries(found, asked, request.base_url))
        whole = result.next_cursor is None and result.previous_cursor is None
        total = result.total if asked.count_only else len(found) if whole else None
        # An empty answer cannot meet the CPTS profile, which wants an entry of each type, and is still the answer.
        profile = codes.CPTS_BUNDLE if cpts else codes.BUNDLE
        bundle: Resource = {
            "resourceType": "Bundle",
            "id": new_id(),
            "meta": {"profile": [profile]},
            "type": "searchset",
        }
        if total is not None:
            bundle["total"] = total
        bundle["link"] = list(_links(request, result))
        return dumps(bundle | ({"entry": entries} if entries else {}))


def asks_for(asked: SearchRequest, source: str, parameter: str) -> bool:
    """Whether the search includes what `source` refers to by `parameter`."""
    return any(
        include.source == source and not include.reverse and parameter in (p.name for p in include.parameters)
        for include in asked.includes
    )


@dataclass(frozen=True)
class Facts:
    """The included rows, read when they are asked for, by relative reference."""

    rows: Iterable[Row]
    base_url: str
    _by_reference: dict[str, Row] = field(init=False, default_factory=dict)
    _read: dict[str, Resource] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_reference.update({f"{row.type}/{row.id}": row for row in self.rows})

    def find(self, reference: str) -> Resource | None:
        """The resource that a reference names; None: it is not held here."""
        name = self.relative(reference)
        if name not in self._read and name in self._by_reference:
            self._read[name] = loads(self._by_reference[name].content)
        return self._read.get(name)

    def relative(self, reference: str) -> str:
        """`Type/id`, for a reference to a resource of this base however it is written."""
        return reference.removeprefix(self.base_url.rstrip("/") + "/").split("/_history/")[0]

    def named(self, references: Iterable[Resource], resource_type: str) -> list[str]:
        """The references of a type, relative, each once."""
        names = (self.relative(reference.get("reference", "")) for reference in references)
        return list(dict.fromkeys(name for name in names if name.startswith(f"{resource_type}/")))


@dataclass(frozen=True)
class Agenda:
    """The resources of one Schedule, rendered."""

    schedule: Resource
    practitioner: Resource
    role: Resource


@dataclass(frozen=True)
class Service:
    """A CPTS, rendered."""

    service: Resource
    organization: Resource


@dataclass(frozen=True)
class Answer:
    """A slot with all that it leads to."""

    slot: Resource
    agenda: Agenda
    services: tuple[Service, ...]


@dataclass
class Graph:
    """The rendering of one answer: every Schedule, and every CPTS, once."""

    facts: Facts
    cpts: bool = False
    _agendas: dict[str, Agenda | None] = field(default_factory=dict)
    _services: dict[str, Service | None] = field(default_factory=dict)

    def slot(self, stored: Resource) -> Answer | None:
        """The slot with its graph; None when some of it cannot meet the profiles."""
        name = self.facts.relative(stored["schedule"].get("reference", ""))
        if name not in self._agendas:
            self._agendas[name] = self._agenda(name)
        agenda = self._agendas[name]
        if agenda is None:
            return None
        services = self._of_cpts(stored) if self.cpts else {}
        rendered = cpts_slot(stored, list(services)) if self.cpts else slot(stored)
        if rendered is None:
            return None
        rendered["schedule"] = {"reference": name}
        return Answer(rendered, agenda, tuple(services.values()))

    def _agenda(self, name: str) -> Agenda | None:
        """The agenda of one professional in one situation of practice; None for any other kind."""
        stored = self.facts.find(name)
        if stored is None or stored.get("active") is False:
            return None
        people = self.facts.named(stored.get("actor", []), "Practitioner")
        roles = self.facts.named(stored.get("actor", []), "PractitionerRole")
        if len(people) != 1 or len(roles) != 1:
            return None
        person, situation = self.facts.find(people[0]), self.facts.find(roles[0])
        rendered = practitioner(person) if person is not None else None
        exercise = self._role(situation, people[0], stored) if situation is not None else None
        if rendered is None or exercise is None:
            return None
        return Agenda(schedule(stored, people[0], roles[0]), rendered, exercise)

    def _role(self, stored: Resource, person: str, agenda: Resource) -> Resource | None:
        place = self._place(stored, agenda)
        if place is None:
            return None
        organization = self.facts.find(stored.get("organization", {}).get("reference", ""))
        return role(stored, person, place, organization)

    def _place(self, stored: Resource, agenda: Resource) -> Resource | None:
        """The one place of the agenda: that which its actors name, else the first of the role's."""
        system = f"{self.facts.base_url.rstrip('/')}/Location"
        own = {f"#{inner['id']}": inner for inner in stored.get("contained", []) if "id" in inner}
        of_role = [place.get("reference", "") for place in stored.get("location", [])]
        for reference in [*self.facts.named(agenda.get("actor", []), "Location"), *of_role]:
            place = own.get(reference) or self.facts.find(reference)
            if place is not None and (rendered := location(place, system)) is not None:
                return rendered
        return None

    def _of_cpts(self, stored: Resource) -> dict[str, Service]:
        found = {}
        for reference in map(self.facts.relative, service_references(stored)):
            if reference not in self._services:
                self._services[reference] = self._service(reference)
            service = self._services[reference]
            if service is not None:
                found[reference] = service
        return found

    def _service(self, reference: str) -> Service | None:
        stored = self.facts.find(reference)
        if stored is None or stored.get("active") is False:
            return None
        owner = self.facts.relative(stored.get("providedBy", {}).get("reference", ""))
        organization = self.facts.find(owner)
        rendered = cpts_organization(organization) if organization is not None else None
        return None if rendered is None else Service(cpts_service(stored, owner), rendered)


def _entries(found: Iterable[Answer], asked: SearchRequest, base_url: str) -> Iterator[Resource]:
    """The entries in the order of the official examples: a slot, then what it is the first to lead to."""
    seen: set[str] = set()
    for answer in found:
        for resource in _shown(answer, asked):
            url = f"{base_url.rstrip('/')}/{resource['resourceType']}/{resource['id']}"
            if url not in seen:
                seen.add(url)
                mode = "match" if resource is answer.slot else "include"
                yield {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def _shown(answer: Answer, asked: SearchRequest) -> Iterator[Resource]:
    """The slot, and of what it leads to no more than the includes ask for."""
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


def _links(request: FhirRequest, result: SearchResult) -> Iterator[Resource]:
    """self with the query byte for byte, which the SAS compares; next only when one page was not enough."""
    url = f"{request.base_url.rstrip('/')}/Slot"
    own = f"{url}?{request.raw_query}" if request.raw_query else query_url(url, request.query)
    yield {"relation": "self", "url": own}
    if result.next_cursor is not None:
        pairs = [(name, text) for name, text in request.query if name != CURSOR_PARAMETER]
        yield {"relation": "next", "url": query_url(url, [*pairs, (CURSOR_PARAMETER, result.next_cursor)])}


def _include(source: str, parameter: str) -> Include:
    return Include(source, (parameters_of(source)[parameter],), iterate=True)


def _from(moment: datetime) -> DateValue:
    return DateValue("ge", moment, moment + timedelta(microseconds=1))
