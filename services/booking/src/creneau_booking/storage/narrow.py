"""Narrow tables for searches: the actors of an agenda, and the places of a role.

A search by place leads through thousands of places. As a term of its own in a GIN index each of them costs 20 µs, and all
of them are compared with each other; as keys of a narrow B-tree they are read in one go. Triggers keep the tables,
whoever writes (migration 0022).
"""

from __future__ import annotations

from dataclasses import dataclass

from creneau_booking.storage.unshown import real
from creneau_shared.fhir.search.generic import GenericTable, literal
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.sql import Selection

_MASKED = literal("_security=http://terminology.hl7.org/CodeSystem/v3-ObservationValue|MASKED")


def is_shown(offer: str) -> str:
    """Condition: the offer (alias) is no sensitive unit, and the directory has told everything of it."""
    return f"NOT {offer}.terms && ARRAY[{_MASKED}]"


@dataclass(frozen=True, slots=True)
class RealTable(GenericTable):
    """A type whose resources of the rehearsal are not shown."""

    def live(self, alias: str) -> str:
        return f"{GenericTable.live(self, alias)} AND {real(self.resource_type, alias)}"


@dataclass(frozen=True, slots=True)
class ScheduleTable(RealTable):
    """Schedule, whose actors are looked up in `agenda_named`."""

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        if parameter.name != "actor":
            return GenericTable.refers_to(self, parameter, selection, alias)
        start = literal(f"{selection.table.resource_type}/")
        wanted = selection.select(f"{start} || {selection.table.columns(selection.alias).id}")
        named = f"SELECT named.schedule_key FROM agenda_named AS named WHERE named.reference = ANY(ARRAY({wanted}))"
        return f"{alias}.key = ANY(ARRAY({named}))"


@dataclass(frozen=True, slots=True)
class PractitionerRoleTable(GenericTable):
    """PractitionerRole, whose places are looked up in `role_place`."""

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        if parameter.name != "location":
            return GenericTable.refers_to(self, parameter, selection, alias)
        wanted = selection.select(selection.table.columns(selection.alias).id)
        places = f"SELECT at.role FROM role_place AS at WHERE at.place = ANY(ARRAY({wanted}))"
        return f"{alias}.id = ANY(ARRAY({places}))"


@dataclass(frozen=True, slots=True)
class OfferTable(GenericTable):
    """HealthcareService without the sensitive units. The directory tells their owners and places, so that the owners of
    their agendas are known; nobody else is to be led to them."""

    def live(self, alias: str) -> str:
        return f"{GenericTable.live(self, alias)} AND {is_shown(alias)}"


TABLES = {
    "HealthcareService": OfferTable,
    "Schedule": ScheduleTable,
    "PractitionerRole": PractitionerRoleTable,
    "Appointment": RealTable,
    "Patient": RealTable,
}
"""Types that are searched by a table of their own."""
