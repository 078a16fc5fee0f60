"""Who, where and how: an appointment's actors joined with what the directory said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
    organization: str | None = None
    """for a PractitionerRole: the reference to its organisation"""
    active: bool = True
    """whether it is in use"""
    since: datetime | None = None
    until: datetime | None = None
    """within which period, the end excluded; None: without that end"""

    def is_there(self, at: datetime) -> bool:
        begun = self.since is None or self.since <= at
        return self.active and begun and (self.until is None or at < self.until)


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
    at_one_place = behind if len({_places_of(role, appointment, facts) for role in behind}) == 1 else ()
    named = (*_directory_actors(appointment), *(role.reference for role in at_one_place))
    roles = [facts[actor] for actor in named if actor in facts]
    people = {role.practitioner for role in roles if role.practitioner}
    # A place that the appointment names itself is the place; a role may have several.
    named_place = bool(appointment.actors_of("Location"))
    places = set() if named_place else {p for role in roles for p in _places_of(role, appointment, facts)}
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
    """The roles that professionals have at the time of the visit whom it names without saying where: software has agendas of
    a person alone. A role has gone with its organisation, and with the last of its places."""
    if any(map(appointment.actors_of, ("Location", "PractitionerRole", "HealthcareService"))):
        return ()
    people = appointment.actors_of("Practitioner")
    return tuple(
        fact
        for fact in facts.values()
        if fact.practitioner in people
        and all(_is_there(one, appointment, facts) for one in (fact.reference, fact.organization))
        and (not fact.locations or any(_is_there(place, appointment, facts) for place in fact.locations))
    )


def _places_of(role: Fact, appointment: Appointment, facts: Mapping[str, Fact]) -> frozenset[str]:
    """Where a role, or an offer, is: at those of its places that are in use, if any is."""
    in_use = frozenset(place for place in role.locations if _is_there(place, appointment, facts))
    return in_use or frozenset(role.locations)


def _is_there(reference: str | None, appointment: Appointment, facts: Mapping[str, Fact]) -> bool:
    """Whether it is in use when the visit takes place. Of what nothing was said yet, nothing is held against it."""
    fact = facts.get(reference or "")
    return fact is None or fact.is_there(appointment.start)


def _common_zone(appointment: Appointment, facts: Mapping[str, Fact]) -> ZoneInfo | None:
    """By which clock all places live where these professionals work."""
    behind = _roles_behind(appointment, facts)
    places = {place for role in behind for place in _places_of(role, appointment, facts)}
    zones = {zone_named(facts[place].zone) for place in places if place in facts}
    return next(iter(zones)) if len(zones) == 1 else None


def _directory_actors(appointment: Appointment) -> tuple[str, ...]:
    types = ("Practitioner", "PractitionerRole", "Location", "HealthcareService", "Organization")
    return tuple(actor for actor in appointment.actors if actor.split("/")[0] in types)


def _position(place: Fact | None) -> tuple[float, float] | None:
    if place is None or place.latitude is None or place.longitude is None:
        return None
    return place.latitude, place.longitude
