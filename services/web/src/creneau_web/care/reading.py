"""From FHIR resources to what a page shows of them. Pure; what is not said is not made up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from creneau_shared.fhir.current import bounds, current, current_name, is_there, titled
from creneau_shared.fhir.zones import TIME_ZONE, zone_of
from creneau_web.care.model import PARIS, Hours, Opening, Place, Professional
from creneau_web.care.terms import access_of, sector_of, takes_new_patients
from creneau_web.fhir.values import (
    by_reference,
    codes,
    contact,
    entries,
    extension,
    first_text,
    instant,
    reference_to,
)

Resource = Mapping[str, Any]

VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
APPOINTMENT_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0276"
WALK_IN = "WALKIN"
CAPACITY = "https://creneau.sante.fr/fhir/StructureDefinition/slot-capacity"
PLACES_LEFT = "https://creneau.sante.fr/fhir/StructureDefinition/slot-places-left"


def professionals_of(bundle: Resource, at: datetime) -> list[Professional]:
    """The PractitionerRoles of a searchset with what was included, in its order, as they are at an instant."""
    return _professionals(entries(bundle, "PractitionerRole"), bundle, at)


def professionals_now(bundle: Resource, at: datetime) -> list[Professional]:
    """As `professionals_of`, only the roles in force then."""
    return _professionals(roles_now(bundle, at), bundle, at)


def _professionals(roles: Iterable[Resource], bundle: Resource, at: datetime) -> list[Professional]:
    known = by_reference(bundle)
    return [professional_of(role, known, at) for role in roles]


def roles_now(bundle: Resource, at: datetime) -> list[Resource]:
    """The PractitionerRoles of a searchset in force at an instant. A role ends with its organisation, and with its last
    place, as far as the searchset has these."""
    known = by_reference(bundle)
    return [
        role
        for role in entries(bundle, "PractitionerRole")
        if is_there(role, at)
        and is_there(known.get((role.get("organization") or {}).get("reference", ""), {}), at)
        and (not role.get("location") or places_now(role, known, at))
    ]


def places_now(role: Resource, known: Mapping[str, Resource], at: datetime) -> frozenset[str]:
    """The places (references) of a role that are in use at an instant."""
    references = [str(place.get("reference", "")) for place in role.get("location", ())]
    return frozenset(one for one in references if is_there(known.get(one, {}), at))


def professional_of(role: Resource, known: Mapping[str, Resource], at: datetime) -> Professional:
    """One PractitionerRole; `known`: `Type/id` → what came with it."""
    whom = role.get("practitioner") or {}
    person = known.get(whom.get("reference", ""), {})
    offer = reference_to(role.get("healthcareService", ()), "HealthcareService")
    service = known.get(offer or "", {})
    where = reference_to(role.get("location") or service.get("location", ()), "Location")
    place = known.get(where or "")
    stating = [role, *_offers(role, known, at)]
    return Professional(
        id=role["id"],
        name=name_of(person, at)
        or whom.get("display")
        or (role.get("organization") or {}).get("display")
        or "–",
        specialties=tuple(_specialties(role, service)),
        place=place_of(_filled(place, known, at), at, within(place, known)) if place else None,
        phone=_phone(role, at) or (_phone(_filled(place, known, at), at) if place else None),
        languages=tuple(_displays(person.get("communication", ()))),
        organization=(role.get("organization") or {}).get("display"),
        service=offer.partition("/")[2] if offer else None,
        by_appointment=bool(service.get("appointmentRequired", True)),
        hours=tuple(_hours(role)),
        remarks=role.get("availabilityExceptions"),
        practitioner=str(whom.get("reference", "")).partition("/")[2] or None,
        sector=sector_of(stating),
        access=access_of(stating, [place, _site(place, known)] if place else []),
        new_patients=takes_new_patients(stating),
    )


def _offers(role: Resource, known: Mapping[str, Resource], at: datetime) -> Iterator[Resource]:
    """The offers of a role that are in use at an instant, as far as they are known."""
    for offer in role.get("healthcareService", ()):
        service = known.get(offer.get("reference", ""))
        if service is not None and is_there(service, at):
            yield service


def name_of(person: Resource, at: datetime) -> str | None:
    """The name that a professional goes by at an instant, with the title."""
    return titled(current_name(person.get("name", ()), at)) or None


def _phone(resource: Resource, at: datetime) -> str | None:
    return contact(current(resource.get("telecom", ()), at), "phone")


def place_of(location: Resource, at: datetime, within: tuple[str, ...] = ()) -> Place:
    """A Location as a page shows it. `within`: the ids of the buildings that it is part of."""
    address = _address(location, at) or {}
    position = location.get("position") or {}
    return Place(
        id=location["id"],
        name=location.get("name") or "",
        lines=tuple(_lines(address)),
        postal_code=address.get("postalCode") or "",
        city=address.get("city") or "",
        zone=zone_of(dict(location)) or PARIS,
        latitude=position.get("latitude"),
        longitude=position.get("longitude"),
        phone=_phone(location, at),
        within=within,
    )


def within(place: Resource, known: Mapping[str, Resource]) -> tuple[str, ...]:
    """The ids of the buildings that a place is part of, as far as they are known, the nearest first."""
    return tuple(building["id"] for building in _buildings(place, known)[1:])


def places_of(bundle: Resource, at: datetime) -> dict[str, tuple[Place, ...]]:
    """The places of the Locations and HealthcareServices of an answer, by reference (`Type/id`). A Location is its own
    place; an offer has those of its places in the answer that are in use, else all of them."""
    known = by_reference(bundle)
    offers = entries(bundle, "HealthcareService")
    return {
        **{
            f"Location/{one['id']}": (place_of(_filled(one, known, at), at),)
            for one in entries(bundle, "Location")
        },
        **{f"HealthcareService/{one['id']}": tuple(_places_of_offer(one, known, at)) for one in offers},
    }


def _places_of_offer(offer: Resource, known: Mapping[str, Resource], at: datetime) -> Iterator[Place]:
    named = [
        known[one] for place in offer.get("location", ()) if (one := place.get("reference", "")) in known
    ]
    in_use = [place for place in named if is_there(place, at)]
    return (place_of(_filled(place, known, at), at) for place in in_use or named)


def _filled(location: Resource, known: Mapping[str, Resource], at: datetime) -> Resource:
    """A place, with the address, the zone and the telephone of what it is part of (a room of a site) if it states none
    itself."""
    seen = _buildings(location, known)
    address = next((address for one in seen if (address := _address(one, at))), None)
    zone = next((zone for one in seen if (zone := zone_of(dict(one)))), None)
    stated = [{"url": TIME_ZONE, "valueCode": zone.key}] if zone else []
    telecom: Sequence[Resource] = next((one["telecom"] for one in seen if _phone(one, at)), [])
    return {**location, "address": address, "extension": stated, "telecom": telecom}


def _site(place: Resource, known: Mapping[str, Resource]) -> Resource:
    """Where a place is: itself, or the nearest building around it that has an address or a position."""
    around = _buildings(place, known)
    return next((one for one in around if "address" in one or "position" in one), place)


def _buildings(place: Resource, known: Mapping[str, Resource]) -> list[Resource]:
    """A place, then what it is part of, up to the whole."""
    seen, here = [place], place
    while (here := known.get((here.get("partOf") or {}).get("reference", ""), {})) and here not in seen:
        seen.append(here)
    return seen


def _address(location: Resource, at: datetime) -> Resource | None:
    """The address, unless it has ended. One that begins later counts: visits there are to come."""
    address = location.get("address") or {}
    until = bounds(address.get("period"))[1]
    return None if address.get("use") == "old" or (until is not None and until <= at) else address


def _lines(address: Resource) -> Iterator[str]:
    """The lines above the town; else the text, if there is nothing else."""
    yield from address.get("line", ())
    if address.get("text") and not any(address.get(name) for name in ("line", "postalCode", "city")):
        yield address["text"]


def openings_of(slots: Iterable[Resource], zone: ZoneInfo) -> list[Opening]:
    """Slots by their start, in the place's own time."""
    return sorted((opening_of(slot, zone) for slot in slots), key=lambda o: o.start)


def opening_of(slot: Resource, zone: ZoneInfo) -> Opening:
    services = slot.get("serviceType", ())
    return Opening(
        slot=slot["id"],
        schedule=slot["schedule"]["reference"].partition("/")[2],
        start=_local(slot["start"], zone),
        end=_local(slot["end"], zone),
        reason=first_text(services),
        modes=frozenset(codes(services, VISIT)),
        walk_in=WALK_IN in codes([slot.get("appointmentType") or {}], APPOINTMENT_TYPE),
        places=_places(slot),
    )


def _places(slot: Resource) -> int | None:
    """How many places a group has left; None: the time is for one person."""
    left = (extension(slot, PLACES_LEFT) or {}).get("valueUnsignedInt")
    capacity = (extension(slot, CAPACITY) or {}).get("valuePositiveInt")
    places = left if left is not None else capacity
    return places if left is not None or (capacity or 0) > 1 else None


def _local(text: str, zone: ZoneInfo) -> datetime:
    return instant(text).astimezone(zone)


def _specialties(role: Resource, service: Resource) -> Iterator[str]:
    """Specialities by name; without one (a midwife, a physiotherapist) the profession."""
    named = list(_displays(role.get("specialty", ())))
    for text in (
        named or list(_displays(role.get("code", ()))) or list(_displays(service.get("specialty", ())))
    ):
        yield text.removesuffix(" (SM)")


def _displays(concepts: Sequence[Resource]) -> Iterator[str]:
    for concept in concepts:
        text = concept.get("text") or next(
            (c["display"] for c in concept.get("coding", ()) if c.get("display")), None
        )
        if text:
            yield text


def _hours(role: Resource) -> Iterator[Hours]:
    for time in role.get("availableTime", ()):
        if "availableStartTime" in time and "availableEndTime" in time:
            yield Hours(
                tuple(time.get("daysOfWeek", ())),
                time["availableStartTime"][:5],
                time["availableEndTime"][:5],
            )
