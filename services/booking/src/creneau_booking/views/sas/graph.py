"""The graph of a SAS answer: each slot with its Schedule, its professional, their role and place, and its CPTS."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from creneau_booking.views.sas.alone import role_alone
from creneau_booking.views.sas.cpts import cpts_organization, cpts_service, cpts_slot, service_references
from creneau_booking.views.sas.facts import Facts
from creneau_booking.views.sas.resources import location, phones, practitioner, role, schedule, slot
from creneau_shared.fhir.storage.store import Resource


@dataclass(frozen=True)
class Agenda:
    """The resources of one Schedule, rendered. `page`: our page (id) of the professional in this role."""

    schedule: Resource
    practitioner: Resource
    role: Resource
    page: str


@dataclass(frozen=True)
class _Place:
    """A place, rendered; `reference`: as its role or its agenda names it, relative, or `#id` if the role contains it;
    `phones`: its telephone numbers."""

    reference: str
    rendered: Resource
    phones: list[Resource]


@dataclass(frozen=True)
class Service:
    """A CPTS, rendered."""

    service: Resource
    organization: Resource


@dataclass(frozen=True)
class SlotGraph:
    """A slot with its agenda and its CPTS, rendered."""

    slot: Resource
    agenda: Agenda
    services: tuple[Service, ...]


@dataclass
class Graph:
    """Renders one answer: each Schedule and each CPTS once. A professional's Schedules in one role at one place are one, the
    first that is met: the SAS wants one Schedule for each role."""

    facts: Facts
    cpts: bool = False
    _agendas: dict[str, Agenda | None] = field(default_factory=dict)
    _by_role: dict[str, Agenda] = field(default_factory=dict)
    _services: dict[str, Service | None] = field(default_factory=dict)

    def slot(self, stored: Resource) -> SlotGraph | None:
        """Returns the slot with its graph; None if a part of it cannot meet the profiles, or if it is for patients whom the
        practice knows."""
        if not self.facts.takes_new_patients(stored):
            return None
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
        rendered["schedule"] = {"reference": f"Schedule/{agenda.schedule['id']}"}
        if "comment" not in rendered and rendered["appointmentType"]["coding"][0]["code"] == "ROUTINE":
            rendered["comment"] = self._own_page(agenda)
        return SlotGraph(rendered, agenda, tuple(services.values()))

    def _own_page(self, agenda: Agenda) -> str:
        """Returns our page of the professional, for a practice that names none: a slot to be booked needs a link. It has a
        query, as the platform adds to it."""
        site = self.facts.base_url.rstrip("/").removesuffix("/fhir")
        return f"{site}/soignants/{agenda.page}?vue=agenda"

    def _agenda(self, name: str) -> Agenda | None:
        """Returns the agenda of one professional in one role; None for any other agenda."""
        stored = self.facts.find(name)
        if stored is None or stored.get("active") is False:
            return None
        person, situation = self._whose(stored)
        known = self.facts.find(person)
        rendered = practitioner(known) if known is not None else None
        exercise = self._role(situation, person, stored) if situation is not None else None
        if situation is None or rendered is None or exercise is None:
            return None
        named = schedule(stored, person, f"PractitionerRole/{exercise['id']}")
        agenda = Agenda(named, rendered, exercise, page=situation["id"])
        return self._by_role.setdefault(exercise["id"], agenda)

    def _whose(self, agenda: Resource) -> tuple[str, Resource | None]:
        """Returns whose agenda it is (reference) and their role. An agenda may name the role alone, or the person alone; "" and
        None: it is of nobody, of several, or it is not clear in which role."""
        people = self.facts.named(agenda.get("actor", []), "Practitioner")
        roles = self.facts.named(agenda.get("actor", []), "PractitionerRole")
        if len(people) == 1 and not roles:
            return people[0], role_alone(self.facts, people[0], agenda)
        situation = self.facts.find(roles[0]) if len(roles) == 1 else None
        if situation is not None and not people:
            people = self.facts.named([situation.get("practitioner", {})], "Practitioner")
        return (people[0], situation) if len(people) == 1 else ("", None)

    def _role(self, stored: Resource, person: str, agenda: Resource) -> Resource | None:
        """Returns the role of a person at the agenda's place. A role has one person and one place in this family: where the
        agenda has others than the stored role, it is another one, with an id of its own."""
        place = self._place(stored, agenda)
        if place is None:
            return None
        own = self._place(stored, {})
        is_own = own is not None and own.reference == place.reference
        whose = self.facts.named([stored.get("practitioner", {})], "Practitioner")
        if not is_own or whose != [person]:
            stored = {**stored, "id": str(uuid5(NAMESPACE_URL, f"{stored['id']} {person} {place.reference}"))}
        organization = self.facts.find(stored.get("organization", {}).get("reference", ""))
        return role(stored, person, place.rendered, organization, place.phones)

    def _place(self, stored: Resource, agenda: Resource) -> _Place | None:
        """Returns the agenda's place: the first of its actors' places that can be rendered, else of its role's."""
        system = f"{self.facts.base_url.rstrip('/')}/Location"
        own = {f"#{inner['id']}": inner for inner in stored.get("contained", []) if "id" in inner}
        of_role = [self.facts.relative(place.get("reference", "")) for place in stored.get("location", [])]
        for reference in [*self.facts.named(agenda.get("actor", []), "Location"), *of_role]:
            place = own.get(reference) or self.facts.find(reference)
            if place is not None and (rendered := location(place, system)) is not None:
                return _Place(reference, rendered, phones(place))
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
