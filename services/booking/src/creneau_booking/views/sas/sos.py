"""SOS Médecins: free slots of centres (agendas of a Location), asked for by way of Schedule (SAS, INT_R01 SOS).

The platform searches Schedule by the SIRET of the structures, with three `_has` about slots and a `_revinclude` of them.
It means one search of Slot, whose criteria all hold for the same slot; that search is run. The answer is the graph
Slot → Schedule → Location → Organization; `total` counts the slots, as the official example does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson

from creneau_booking.storage.slots.table import to_come
from creneau_booking.views.sas import codes
from creneau_booking.views.sas.facts import Facts
from creneau_booking.views.sas.family import including, links, whole_up_to
from creneau_booking.views.sas.identifiers import siret_number
from creneau_booking.views.sas.query import (
    SLOTS_ON_A_PAGE,
    Pairs,
    check_free_slots,
    check_numbers,
    values_of,
)
from creneau_booking.views.sas.resources import (
    compact,
    location,
    phones,
    place_number,
    resource,
    slot,
    within,
)
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_id
from creneau_shared.national_numbers import NATIONAL_STRUCTURE

STRUCTURES = "actor:Location.organization.identifier"
_HAS = "_has:Slot:schedule:"
START, STATUS = f"{_HAS}start", f"{_HAS}status"
_PASSED_ON = frozenset({"_count", "_format", "_pretty", "_cursor"})


def is_sos(query: Pairs, *, by_regulator: bool = False) -> bool:
    """Whether a Schedule search is SOS Médecins': by `_profile`, else by its shape: criteria on slots (`_has`), which it
    also includes, and structures. A regulator's search of this shape without structures is one, too."""
    profiles = values_of(query, "_profile")
    if profiles:
        return codes.SOS_SCHEDULE in (profile.partition("|")[0] for profile in profiles)
    names = {name for name, _ in query}
    shaped = ("_revinclude", "Slot:schedule") in query and bool(names & {START, STATUS})
    return shaped and (STRUCTURES in names or by_regulator)


def check(query: Pairs) -> None:
    """Raises the 400 that names the first missing one of the mandatory criteria."""
    check_free_slots(query, START, STATUS)
    check_numbers(query, STRUCTURES, f"{NATIONAL_STRUCTURE}|3", ("structures", "structures"))


def of_slots(query: Pairs) -> list[tuple[str, str]]:
    """Returns the search of Slot that is meant: its criteria, and the structures."""
    pairs = [(name.removeprefix(_HAS), text) for name, text in query if name.startswith(_HAS)]
    pairs += [(f"schedule.{STRUCTURES}", text) for name, text in query if name == STRUCTURES]
    pairs += [(name, text) for name, text in query if name in _PASSED_ON]
    if "_count" not in (name for name, _ in pairs):
        pairs.append(("_count", str(SLOTS_ON_A_PAGE)))
    return pairs


class SosView:
    """The `SearchView` of Schedule for SOS Médecins."""

    resource_type = "Slot"

    def asked_by(self, request: FhirRequest) -> bool:
        return is_sos(request.query, by_regulator=request.principal.role == "regulator")

    def pairs(self, request: FhirRequest) -> list[tuple[str, str]]:
        check(request.query)
        return of_slots(request.query)

    def widen(self, asked: SearchRequest, now: datetime) -> SearchRequest:
        """Returns the search without slots that have begun, with the includes that the answer is rendered from."""
        needed = (
            including("Slot", "schedule"),
            including("Schedule", "actor"),
            including("Location", "organization"),
        )
        return replace(asked, conditions=(*asked.conditions, to_come(now)), includes=needed)

    def matches_max(self, asked: SearchRequest) -> int:
        """See `whole_up_to`."""
        return whole_up_to(asked)

    def bundle(self, request: FhirRequest, asked: SearchRequest, result: SearchResult) -> bytes:
        """Returns the searchset. It claims the SOS profile, unless it is empty or a page: that profile allows neither."""
        graph = _Graph(Facts(result.included, request.base_url, request.now))
        found = [
            chain for row in result.matches if (chain := graph.of(orjson.loads(row.content))) is not None
        ]
        entries = list(_entries(found, request))
        whole = result.next_cursor is None and result.previous_cursor is None
        total = result.total if asked.count_only else len(found) if whole else None
        bundle: Resource = {
            "resourceType": "Bundle",
            "id": new_id(),
            "meta": {"profile": [codes.SOS_BUNDLE if found and whole else codes.BUNDLE]},
            "type": "searchset",
        }
        if total is not None:
            bundle["total"] = total
        bundle["link"] = list(links(request, result, "Schedule"))
        return orjson.dumps(bundle | ({"entry": entries} if entries else {}))


@dataclass(frozen=True)
class _Centre:
    """The agenda of one place, rendered."""

    schedule: Resource
    location: Resource
    organization: Resource


@dataclass
class _Graph:
    """Renders one answer: each agenda once."""

    facts: Facts
    _centres: dict[str, _Centre | None] = field(default_factory=dict)

    def of(self, stored: Resource) -> tuple[Resource, _Centre] | None:
        """Returns a slot with its centre; None if a part of it cannot meet the profiles, or if it is for patients whom the
        centre knows."""
        if not self.facts.takes_new_patients(stored):
            return None
        name = self.facts.relative(stored["schedule"].get("reference", ""))
        if name not in self._centres:
            self._centres[name] = self._centre(name)
        centre, rendered = self._centres[name], sos_slot(stored)
        if centre is None or rendered is None:
            return None
        return rendered | {"schedule": {"reference": name}}, centre

    def _centre(self, name: str) -> _Centre | None:
        """Returns the agenda of one place and no professional; None for others (professionals have their own flow)."""
        stored = self.facts.find(name)
        if stored is None or stored.get("active") is False:
            return None
        actors = stored.get("actor", [])
        places = self.facts.named(actors, "Location")
        if len(places) != 1 or any(
            self.facts.named(actors, kind) for kind in ("Practitioner", "PractitionerRole")
        ):
            return None
        place = self.facts.find(places[0])
        if place is None:
            return None
        owner = self.facts.relative(place.get("managingOrganization", {}).get("reference", ""))
        structure = self.facts.find(owner)
        organization = sos_organization(structure) if structure is not None else None
        where = sos_location(place, owner, f"{self.facts.base_url.rstrip('/')}/Location")
        if organization is None or where is None:
            return None
        agenda = resource(stored, codes.SOS_SCHEDULE, actor=[{"reference": places[0]}])
        return _Centre(agenda, where, organization)


def sos_slot(stored: Resource) -> Resource | None:
    """Returns sas-sos-slot-aggregator of a slot open to all or kept for the regulation, with coded visit types alone."""
    rendered = slot(stored, codes.SOS_VISIBILITIES)
    if rendered is None:
        return None
    concepts = rendered.pop("serviceType", [])
    visits = [{"coding": taken} for concept in concepts if (taken := within(concept, codes.SOS_VISITS))]
    rendered["meta"]["profile"] = [codes.SOS_SLOT]
    return rendered | compact(serviceType=visits)


def sos_location(stored: Resource, organization: str, system: str) -> Resource | None:
    """Returns sas-sos-location-aggregator, with internal identifiers alone; None without a name or a complete address."""
    rendered = location(stored, system)
    if rendered is None or "name" not in rendered:
        return None
    internal = [
        identifier
        for identifier in rendered["identifier"]
        if identifier["type"]["coding"][0]["code"] == "INTRN"
    ]
    rendered["meta"]["profile"] = [codes.SOS_LOCATION]
    rendered["identifier"] = internal or [place_number("INTRN", system, stored["id"])]
    return rendered | compact(
        telecom=phones(stored),
        managingOrganization={"reference": organization},
        hoursOfOperation=stored.get("hoursOfOperation"),
    )


def sos_organization(stored: Resource) -> Resource | None:
    """Returns sas-sos-organization-aggregator; None if it is inactive or lacks a SIRET, which the profile demands."""
    number = siret_number(stored.get("identifier", []))
    if number is None or stored.get("active") is False:
        return None
    identifier = place_number("IDNST", NATIONAL_STRUCTURE, number)
    return resource(stored, codes.SOS_ORGANIZATION, identifier=[identifier], name=stored.get("name"))


def _entries(found: list[tuple[Resource, _Centre]], request: FhirRequest) -> Iterator[Resource]:
    """Yields the entries in the order of the official example: a slot, then the resources that it is the first to need.
    Schedules are the matches, the rest are includes."""
    with_places = ("_include", "Schedule:actor:Location") in request.query
    with_structures = ("_include:iterate", "Location:organization") in request.query
    seen: set[str] = set()
    for chosen, centre in found:
        shown = [chosen, centre.schedule]
        shown += [centre.location] if with_places else []
        shown += [centre.organization] if with_places and with_structures else []
        for one in shown:
            url = f"{request.base_url.rstrip('/')}/{one['resourceType']}/{one['id']}"
            if url not in seen:
                seen.add(url)
                mode = "match" if one["resourceType"] == "Schedule" else "include"
                yield {"fullUrl": url, "resource": one, "search": {"mode": mode}}
