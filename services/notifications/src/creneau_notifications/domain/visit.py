"""Who, where and how: an appointment's actors joined with what the directory said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from creneau_notifications.domain.appointment import Appointment, Mode
from creneau_shared.clock import zone_named

PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Turn:
    """When a resource's name, number or address changes: a period begins or ends."""

    at: datetime
    name: str | None
    phone: str | None
    address: tuple[str, ...] | None = None
    """None: unchanged, as in turns stored before addresses had any"""


@dataclass(frozen=True, slots=True)
class Fact:
    """What one directory resource says that a message needs."""

    reference: str
    name: str | None = None
    address: tuple[str, ...] = ()
    """lines as on an envelope, the last one postal code and city"""
    phone: str | None = None
    zone: str | None = None
    """IANA name; an unknown one counts as none"""
    latitude: float | None = None
    longitude: float | None = None
    practitioner: str | None = None
    """for a PractitionerRole: the reference to the person"""
    locations: tuple[str, ...] = ()
    """for a PractitionerRole or HealthcareService: the references to its places"""
    organization: str | None = None
    """for a PractitionerRole: the reference to its organisation"""
    part_of: str | None = None
    """for a Location: the reference to the one that it is part of, as a room is of a site"""
    active: bool = True
    """whether it is in use"""
    since: datetime | None = None
    until: datetime | None = None
    """within which period, the end excluded; None: without that end"""
    turns: tuple[Turn, ...] = ()
    """what was known already of later names, numbers and addresses, in order of time"""

    def as_of(self, now: datetime) -> Fact:
        """The fact with its name and number at `now`."""
        turn = next((turn for turn in reversed(self.turns) if turn.at <= now), None)
        return self if turn is None else replace(self, name=turn.name, phone=turn.phone)

    def addressed(self, at: datetime) -> Fact:
        """The fact with its address at `at`."""
        dated = (turn.address for turn in reversed(self.turns) if turn.at <= at)
        address = next((address for address in dated if address is not None), self.address)
        return self if address == self.address else replace(self, address=address)

    def is_there(self, at: datetime) -> bool:
        begun = self.since is None or self.since <= at
        return self.active and begun and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a message says of an appointment beside its time."""

    professional: str | None
    """the names of all who are there"""
    site: str | None
    """the names of its places alone"""
    place: str | None
    """the same, else the name of a role, offer or practice"""
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
    facts = _at_the_visit(appointment, facts)
    named = (*_directory_actors(appointment), *(r.reference for r in _roles_at_one_place(appointment, facts)))
    people = {fact.practitioner for fact in _known(named, facts) if fact.practitioner}
    places = _places(appointment, facts)
    around = {fact.part_of for place in places for fact in _upwards(place, facts) if fact.part_of}
    return frozenset(named) | people | around | frozenset(places)


def visit_of(appointment: Appointment, facts: Mapping[str, Fact]) -> Visit:
    """Join the appointment with the facts known so far."""
    facts = _at_the_visit(appointment, facts)
    needed = references_of(appointment, facts)
    known = [facts[reference] for reference in sorted(needed) if reference in facts]
    people = [fact for fact in known if fact.reference.startswith("Practitioner/")]
    own = _addressed_first(_places(appointment, facts), facts)
    places = [_filled(place, facts) for place in own]
    place = places[0] if places else None
    others = [fact for fact in known if not fact.reference.startswith(("Practitioner/", "Location/"))]
    roles = [fact for fact in others if fact.reference.startswith("PractitionerRole/")]
    zones = (zone_named(fact.zone) for fact in [*places, *others])
    zone = next((zone for zone in zones if zone is not None), None) or _common_zone(appointment, facts)
    site = _site(own, facts)
    return Visit(
        professional=", ".join(dict.fromkeys(fact.name for fact in people if fact.name)) or None,
        site=site,
        place=site or next((fact.name for fact in others if fact.name), None),
        address=place.address if place else (),
        phone=next((fact.phone for fact in [*roles, *places, *others, *people] if fact.phone), None),
        zone=zone or PARIS,
        zone_known=zone is not None,
        position=_position(place),
        mode=appointment.mode or Mode.PRACTICE,
        complete=len(known) == len(needed),
    )


def _at_the_visit(appointment: Appointment, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """The facts with the addresses at the time of the visit, when the patient goes there."""
    return {reference: fact.addressed(appointment.start) for reference, fact in facts.items()}


def _known(references: Iterable[str], facts: Mapping[str, Fact]) -> list[Fact]:
    return [facts[reference] for reference in references if reference in facts]


def _places(appointment: Appointment, facts: Mapping[str, Fact]) -> tuple[str, ...]:
    """The places of the visit. A Location that the appointment names wins, as a role may have several. If it has no address,
    the only place of the named actors is added."""
    named = appointment.actors_of("Location")
    roles = _roles_at_one_place(appointment, facts) or _known(_directory_actors(appointment), facts)
    theirs = tuple(dict.fromkeys(place for role in roles for place in _places_of(role, appointment, facts)))
    if not named:
        return theirs
    says_where = any(place not in facts or _filled(place, facts).address for place in named)
    return named if says_where or len(theirs) != 1 else (*named, *theirs)


def _upwards(place: str, facts: Mapping[str, Fact]) -> Iterator[Fact]:
    """The place, and what it is part of, as far as is known: a room, its building, their site."""
    seen: set[str] = set()
    at = facts.get(place)
    while at is not None and at.reference not in seen:
        seen.add(at.reference)
        yield at
        at = facts.get(at.part_of or "")


def _filled(place: str, facts: Mapping[str, Fact]) -> Fact:
    """The facts of a place, with gaps filled from the places that contain it."""
    said = list(_upwards(place, facts))
    placed = next((one for one in said if _position(one) is not None), said[0])
    return replace(
        said[0],
        address=next((one.address for one in said if one.address), ()),
        phone=next((one.phone for one in said if one.phone), None),
        zone=next((one.zone for one in said if one.zone), None),
        latitude=placed.latitude,
        longitude=placed.longitude,
    )


def _addressed_first(places: Sequence[str], facts: Mapping[str, Fact]) -> list[str]:
    """The known places in the appointment's order, those without an address last."""
    known = [place for place in places if place in facts]
    return sorted(known, key=lambda place: not _filled(place, facts).address)


def _site(places: Sequence[str], facts: Mapping[str, Fact]) -> str | None:
    """The names from the door to the room; nothing of a place at another address."""
    ways = [_way_in(place, facts) for place in places]
    said = [one for way in ways if way[0] is ways[0][0] or not way[0].address for one in way]
    return ", ".join(dict.fromkeys(one.name for one in said if one.name)) or None


def _way_in(place: str, facts: Mapping[str, Fact]) -> list[Fact]:
    """From the place with the address to this place."""
    way: list[Fact] = []
    for one in _upwards(place, facts):
        way.insert(0, one)
        if one.address:
            break
    return way


def _roles_at_one_place(appointment: Appointment, facts: Mapping[str, Fact]) -> tuple[Fact, ...]:
    """Roles behind the visit, if all have equal places."""
    behind = _roles_behind(appointment, facts)
    return behind if len({frozenset(_places_of(role, appointment, facts)) for role in behind}) == 1 else ()


def _roles_behind(appointment: Appointment, facts: Mapping[str, Fact]) -> tuple[Fact, ...]:
    """The roles, at the time of the visit, of professionals whom it names without a place: some software has agendas of a
    person alone. A role ends with its organisation, and with the last of its places."""
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


def _places_of(role: Fact, appointment: Appointment, facts: Mapping[str, Fact]) -> tuple[str, ...]:
    """Where a role, or an offer, is: at those of its places that are in use, if any is."""
    in_use = tuple(place for place in role.locations if _is_there(place, appointment, facts))
    return in_use or role.locations


def _is_there(reference: str | None, appointment: Appointment, facts: Mapping[str, Fact]) -> bool:
    """Whether the resource is in use at the time of the visit. An unknown resource counts as in use."""
    fact = facts.get(reference or "")
    return fact is None or fact.is_there(appointment.start)


def _common_zone(appointment: Appointment, facts: Mapping[str, Fact]) -> ZoneInfo | None:
    """The one zone of all places of these professionals, or None."""
    roles = _roles_behind(appointment, facts) or _known(_directory_actors(appointment), facts)
    places = {place for role in roles for place in _places_of(role, appointment, facts)}
    zones = {zone_named(_filled(place, facts).zone) for place in places if place in facts}
    return next(iter(zones)) if len(zones) == 1 else None


def _directory_actors(appointment: Appointment) -> tuple[str, ...]:
    types = ("Practitioner", "PractitionerRole", "Location", "HealthcareService", "Organization")
    return tuple(actor for actor in appointment.actors if actor.split("/")[0] in types)


def _position(place: Fact | None) -> tuple[float, float] | None:
    if place is None or place.latitude is None or place.longitude is None:
        return None
    return place.latitude, place.longitude
