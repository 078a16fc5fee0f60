"""Who, where and how: an appointment's actors joined with what the directory said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from creneau_notifications.domain.appointment import Appointment, Mode
from creneau_shared.clock import zone_named

PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Fact:
    """What one directory resource says that a message needs."""

    reference: str
    name: str | None = None
    address: tuple[str, ...] = ()
    """lines as on an envelope, the last one postal code and city"""
    phone: str | None = None
    zone: str | None = None
    """IANA name; one that there is not counts as none"""
    latitude: float | None = None
    longitude: float | None = None
    practitioner: str | None = None
    """for a PractitionerRole: the reference to the person"""
    locations: tuple[str, ...] = ()
    """for a PractitionerRole or HealthcareService: the references to its places"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a message says of an appointment beside its time."""

    professional: str | None
    place: str | None
    address: tuple[str, ...]
    phone: str | None
    zone: ZoneInfo
    zone_known: bool
    position: tuple[float, float] | None
    """latitude, longitude in degrees, WGS 84"""
    mode: Mode
    complete: bool
    """every actor's facts have arrived"""


def references_of(appointment: Appointment, facts: Mapping[str, Fact]) -> frozenset[str]:
    """The directory resources that the appointment's messages need, as far as `facts` tells."""
    behind = _roles_behind(appointment, facts)
    at_one_place = behind if len({frozenset(role.locations) for role in behind}) == 1 else ()
    named = (*_directory_actors(appointment), *(role.reference for role in at_one_place))
    roles = [facts[actor] for actor in named if actor in facts]
    people = {role.practitioner for role in roles if role.practitioner}
    # A place that the appointment names itself is the place; a role may have several.
    places = set() if appointment.actors_of("Location") else {p for role in roles for p in role.locations}
    return frozenset(named) | people | places


def visit_of(appointment: Appointment, facts: Mapping[str, Fact]) -> Visit:
    """Join the appointment with the facts known so far."""
    needed = references_of(appointment, facts)
    known = [facts[reference] for reference in sorted(needed) if reference in facts]
    people = [fact for fact in known if fact.reference.startswith("Practitioner/")]
    places = [fact for fact in known if fact.reference.startswith("Location/")]
    place = places[0] if places else None
    others = [fact for fact in known if fact not in people and fact not in places]
    roles = [fact for fact in others if fact.reference.startswith("PractitionerRole/")]
    zones = (zone_named(fact.zone) for fact in [*places, *others])
    zone = next((zone for zone in zones if zone is not None), None) or _common_zone(appointment, facts)
    return Visit(
        professional=next((fact.name for fact in people if fact.name), None),
        place=next((fact.name for fact in [*places, *others] if fact.name), None),
        address=place.address if place else (),
        phone=next((fact.phone for fact in [*roles, *places, *others, *people] if fact.phone), None),
        zone=zone or PARIS,
        zone_known=zone is not None,
        position=_position(place),
        mode=appointment.mode or Mode.PRACTICE,
        complete=len(known) == len(needed),
    )


def _roles_behind(appointment: Appointment, facts: Mapping[str, Fact]) -> tuple[Fact, ...]:
    """The roles of professionals whom the appointment names without saying where: software has agendas of a person alone."""
    if any(map(appointment.actors_of, ("Location", "PractitionerRole", "HealthcareService"))):
        return ()
    people = appointment.actors_of("Practitioner")
    return tuple(fact for fact in facts.values() if fact.practitioner in people)


def _common_zone(appointment: Appointment, facts: Mapping[str, Fact]) -> ZoneInfo | None:
    """By which clock all places live where these professionals work."""
    places = {place for role in _roles_behind(appointment, facts) for place in role.locations}
    zones = {zone_named(facts[place].zone) for place in places if place in facts}
    return next(iter(zones)) if len(zones) == 1 else None


def _directory_actors(appointment: Appointment) -> tuple[str, ...]:
    types = ("Practitioner", "PractitionerRole", "Location", "HealthcareService", "Organization")
    return tuple(actor for actor in appointment.actors if actor.split("/")[0] in types)


def _position(place: Fact | None) -> tuple[float, float] | None:
    if place is None or place.latitude is None or place.longitude is None:
        return None
    return place.latitude, place.longitude
