"""What a waiting-list Appointment asks for, read from FHIR: its slots and participants, what the visit is for, when, and
the extensions that R4 has no element for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.refusals.waiting import UnreadableWish
from creneau_booking.domain.waiting import PARTS_OF_DAY, Near, Wish
from creneau_booking.storage.mapping.appointment import (
    REPLACES,
    WORDS,
    offered,
    relative,
    slot_ids,
    visit_of,
)
from creneau_shared.clock import PARIS
from creneau_shared.fhir.datatypes import exact_instant, parse_interval
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.terminology.own import BOOKABLE_VISITS, VISIT_TYPES

_OURS = "https://creneau.sante.fr/fhir/StructureDefinition/"
WAITING_AGENDA = f"{_OURS}waiting-agenda"
"""extension (Reference(Schedule), any number): an agenda that will do"""
WAITING_TIMES = f"{_OURS}waiting-times"
"""extension (code, any number): a part of the day that will do"""
WAITING_NEAR = f"{_OURS}waiting-near"
"""extension (string): where, as the search parameter `near` has it: latitude|longitude|distance|km"""
WISHES = frozenset({WAITING_AGENDA, WAITING_TIMES, WAITING_NEAR})
"""extensions by which a person says what they wait for"""
MODES = frozenset(f"{VISIT_TYPES}|{code}" for code in BOOKABLE_VISITS)
"""codes of `serviceType` that say how a visit takes place, and not what it is for"""
RADIUS_KM_MAX = 100.0
_METRES = {"km": 1.0, "m": 0.001}
_PEOPLE = ("Practitioner", "PractitionerRole", "Device")


def wish_of(appointment: Resource, base_url: str) -> Wish:
    """Returns what the Appointment waits for; raises UnreadableWish for an extension that cannot be read."""
    actors = [relative(p.get("actor", {}).get("reference", ""), base_url) for p in appointment["participant"]]
    visit = visit_of(appointment)
    times = frozenset(str(code) for code in _values(appointment, WAITING_TIMES, "valueCode"))
    if not times <= set(PARTS_OF_DAY):
        raise UnreadableWish(WAITING_TIMES)
    return Wish(
        slots=frozenset(slot_ids(appointment, base_url)),
        agendas=frozenset(_agendas(appointment, base_url)),
        people=frozenset(actor for actor in actors if actor.partition("/")[0] in _PEOPLE),
        services=frozenset(actor for actor in actors if actor.startswith("HealthcareService/")),
        places=frozenset(a.removeprefix("Location/") for a in actors if a.startswith("Location/")),
        near=next((_near(str(value)) for value in _values(appointment, WAITING_NEAR, "valueString")), None),
        specialties=frozenset(c for c in visit.get("specialty", ()) if not c.startswith(WORDS)),
        visit=frozenset(
            (element, code)
            for element, codes in visit.items()
            for code in codes
            if element != "specialty" and not code.startswith(WORDS)
        ),
        times=times,
        periods=_periods(appointment),
    )


def without_wishes(appointment: Resource) -> Resource:
    """Returns the Appointment without the extensions that a person sets while they wait, among them the visit that it would
    replace."""
    kept = [e for e in appointment.get("extension", ()) if e.get("url") not in {*WISHES, REPLACES}]
    rest = {name: value for name, value in appointment.items() if name != "extension"}
    return {**rest, "extension": kept} if kept else rest


def at_other_times(wish: Resource, times: Sequence[str], end: datetime | None) -> Resource:
    """Returns the Appointment as one that waits for these parts of the day, until `end`; empty or None: as it says."""
    changed = dict(wish)
    if times:
        others = [e for e in wish.get("extension", ()) if e.get("url") != WAITING_TIMES]
        said = [{"url": WAITING_TIMES, "valueCode": part} for part in times]
        changed["extension"] = [*others, *said]
    if end is not None:
        [first, *_] = wish.get("requestedPeriod") or [{}]
        changed["requestedPeriod"] = [{**first, "end": exact_instant(end)}]
    return changed


def for_the_same(visit: Resource, slots: Sequence[Resource]) -> Resource:
    """Returns what to wait for instead of a visit in these slots, by element: what the visit says, and for kinds of which it
    says nothing, what the slots say. Most visits say nothing themselves."""
    found: Resource = {}
    for element in ("serviceCategory", "serviceType", "appointmentType"):
        said = _concepts(visit, element)
        kinds = {kind for concept in said for kind in _kinds(element, concept)}
        for concept in (one for slot in slots for one in _concepts(slot, element)):
            if concept not in said and _kinds(element, concept) - kinds:
                said.append(concept)
        if said:
            found[element] = said[0] if element == "appointmentType" else said
    return found


def said_in(slot: Resource, wish: Resource) -> Resource:
    """Returns the elements that an Appointment takes over from this slot: those that the wish leaves open, and of several
    codes in the wish, those that the slot has."""
    wanted, found = visit_of(wish), {}
    for element in SAID_BY_SLOT:
        here = _concepts(slot, element)
        codes = {code for code in wanted.get(element, ()) if not code.startswith(WORDS)}
        has = offered(slot).get(element, frozenset())
        if not here or (element in wanted and (not codes or wanted[element] <= has)):
            continue
        meant = [one for one in here if codes & offered({element: [one]})[element]] or here
        found[element] = meant if isinstance(slot[element], list) else meant[0]
    return found


def _concepts(resource: Resource, element: str) -> list[Resource]:
    said = resource.get(element, [])
    return [said] if isinstance(said, dict) else list(said)


def _kinds(element: str, concept: Resource) -> set[str]:
    """The kinds of a concept's codes (`mode`, or the element); text alone has none."""
    codes = visit_of({element: [concept]})[element]
    return {"mode" if code in MODES else element for code in codes if not code.startswith(WORDS)}


def _values(appointment: Resource, url: str, value: str) -> list[object]:
    said = [e for e in appointment.get("extension", ()) if e.get("url") == url]
    if any(set(e) - {"url", value} or value not in e for e in said):
        raise UnreadableWish(url)
    return [e[value] for e in said]


def _agendas(appointment: Resource, base_url: str) -> list[str]:
    found = []
    for said in _values(appointment, WAITING_AGENDA, "valueReference"):
        reference = relative(str(said.get("reference", "")) if isinstance(said, dict) else "", base_url)
        kind, _, id_ = reference.partition("/")
        if kind != "Schedule" or not id_:
            raise UnreadableWish(WAITING_AGENDA)
        found.append(id_)
    return found


def _near(said: str) -> Near:
    latitude, _, rest = said.partition("|")
    longitude, _, rest = rest.partition("|")
    distance, _, unit = rest.partition("|")
    try:
        near = Near(float(latitude), float(longitude), float(distance or "10") * _METRES[unit or "km"])
    except (ValueError, KeyError):
        raise UnreadableWish(WAITING_NEAR) from None
    if not (abs(near.latitude) <= 90 and abs(near.longitude) <= 180 and 0 < near.radius_km <= RADIUS_KM_MAX):
        raise UnreadableWish(WAITING_NEAR)
    return near


def _periods(appointment: Resource) -> tuple[tuple[datetime | None, datetime | None], ...]:
    said = appointment.get("requestedPeriod") or (
        [{name: appointment[name] for name in ("start", "end")}]
        if {"start", "end"} <= appointment.keys()
        else []
    )
    return tuple(
        (
            parse_interval(period["start"], PARIS)[0] if "start" in period else None,
            parse_interval(period["end"], PARIS)[0 if "T" in period["end"] else 1]
            if "end" in period
            else None,
        )
        for period in said
    )
