"""Reads what an agenda states of its time in FHIR: extensions of Schedule, and what its actors state → `Statement`.

FR Core has two of these extensions (opening times with their recurrence, durations of services). The others are Créneau's
and stand beside them, or within one opening time. What the Schedule itself states holds for all its openings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from creneau_booking.domain.openings.refusals import OpeningsUnread, UnreadOpening
from creneau_booking.domain.openings.rules import (
    Cutting,
    Hours,
    Kind,
    Offer,
    Period,
    Statement,
)
from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.storage.openings.recurrences import recurrence
from creneau_booking.storage.openings.values import (
    DAYS,
    UnreadError,
    boolean,
    code,
    concept,
    dated,
    lasts,
    moment,
    order,
    read_day,
    through,
    through_the_day,
)
from creneau_shared.fhir.datatypes import time_of
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.storage.store import Resource

AVAILABILITY = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-schedule-availability-time"
DURATION = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-service-type-duration"
_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
BUFFER_BEFORE = _OWN + "schedule-buffer-before"
"""Duration (min, h): kept free before each visit."""
BUFFER_AFTER = _OWN + "schedule-buffer-after"
GRID = _OWN + "schedule-alignment-grid"
"""Duration (min, h): visits start at multiples of it, counted from midnight."""
ROLE_HOURS = _OWN + "schedule-uses-role-hours"
"""boolean: PractitionerRole.availableTime where the agenda has no opening of its own, and notAvailable in any case."""
PUBLIC_HOLIDAYS = _OWN + "schedule-open-on-public-holidays"
SERVICE = _OWN + "opening-service-type"
"""CodeableConcept: what an opening is for, of what the agenda offers."""
APPOINTMENT_TYPE = _OWN + "opening-appointment-type"
NEW_PATIENTS = _OWN + "opening-new-patients"
"""boolean: for everybody, even where the agenda is not, or for those whom the practice knows."""
MODE = _OWN + "opening-mode"
VISIBILITY = _OWN + "opening-visibility"
"""code of TRE_R314: who is shown the slots."""
SCHOOL_HOLIDAYS = _OWN + "opening-school-holidays"
SLOT_NEW_PATIENTS = _OWN + "slot-new-patients"
"""The same on the Slot."""

MODES = {"on-site": "AMB", "home": "HH", "video": "VR"}
"""How a visit takes place → its SAS code on a Slot (v3-ActCode)."""
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_DISPLAY = {"AMB": "Consultation au cabinet", "HH": "Visite à domicile", "VR": "Téléconsultation"}
VISIBILITIES = frozenset({"PUBLIC", "PRO", "SNP", "CPTS"})
RULES_MAX = 500
"""opening times and absences that one agenda states"""
LENGTH_MAX = timedelta(days=31)
"""longest period that recurs"""
COUNTED_BACK_MAX = timedelta(days=3660)
"""how long ago a period with counted occurrences may have begun"""


@dataclass(frozen=True, slots=True)
class Stated:
    """What an agenda states, and how its slots look. `services`: CodeableConcepts by `service_name`."""

    statement: Statement
    services: Mapping[str, Resource]
    schedule: Resource
    own: bool
    """whether the Schedule itself asks for slots to be made"""

    def slot_of(self, kind: Kind, id_: str) -> Resource:
        """A slot of a kind in the agenda `id_`, without its time."""
        traits = loads(kind.traits.encode()) if kind.traits else {}
        services = [concept for name, concept in self.services.items() if name in kind.services]
        if mode := traits.get("mode"):
            code = MODES[mode]
            services.append({"coding": [{"system": _ACT, "code": code, "display": _DISPLAY[code]}]})
        slot: Resource = {"resourceType": "Slot"}
        if visibility := traits.get("visibility"):
            slot["meta"] = {"security": [{"system": SLOT_TYPE_SYSTEM, "code": code} for code in visibility]}
        if "new_patients" in traits:
            slot["extension"] = [{"url": SLOT_NEW_PATIENTS, "valueBoolean": traits["new_patients"]}]
        for name in ("serviceCategory", "specialty"):
            if name in self.schedule:
                slot[name] = self.schedule[name]
        slot["serviceType"] = services
        if "appointment_type" in traits:
            slot["appointmentType"] = traits["appointment_type"]
        slot["schedule"] = {"reference": f"Schedule/{id_}"}
        return slot


@dataclass(frozen=True, slots=True)
class Actors:
    """The resources of an agenda's actors in the directory: its own, and the places of its roles and offers."""

    roles: Sequence[Resource] = ()
    offers: Sequence[Resource] = ()
    places: Sequence[Resource] = ()
    of_people: bool = True
    people: Sequence[Resource] = ()


@dataclass(slots=True)
class _Reading:
    """What was read of a Schedule so far, and what could not be."""

    openings: list[Period] = field(default_factory=list)
    absences: list[Period] = field(default_factory=list)
    services: dict[str, Resource] = field(default_factory=dict)
    durations: dict[str, timedelta] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    unread: list[UnreadOpening] = field(default_factory=list)


def stated_by(schedule: Resource, actors: Actors, now: datetime) -> Stated:
    """Returns what a Schedule states, with what it leaves to its actors. Raises OpeningsUnread with what cannot be read."""
    reading = _read(schedule, now)
    if reading.unread:
        raise OpeningsUnread(tuple(reading.unread))
    return _put_together(schedule, reading, actors)


def understood(schedule: Resource, actors: Actors, now: datetime) -> Stated:
    """Returns what can be read of a Schedule that has already been accepted."""
    return _put_together(schedule, _read(schedule, now), actors)


def states_rules(schedule: Resource) -> bool:
    """Whether a Schedule asks for slots to be made from rules."""
    return any(
        extension.get("url") == AVAILABILITY
        or (extension.get("url") == ROLE_HOURS and extension.get("valueBoolean") is True)
        for extension in schedule.get("extension", ())
    )


# -- one Schedule ------------------------------------------------------------------------------------------------


def _read(schedule: Resource, now: datetime) -> _Reading:
    reading = _Reading()
    extensions = list(enumerate(schedule.get("extension", ())))
    if sum(extension.get("url") == AVAILABILITY for _, extension in extensions) > RULES_MAX:
        reading.unread.append(UnreadOpening(None, "too-many", "", str(RULES_MAX)))
        return reading
    # First what holds for the whole agenda: an opening may name what a later extension offers.
    for ours in (False, True):
        for index, extension in extensions:
            if (extension.get("url") == AVAILABILITY) == ours:
                try:
                    _take(extension, schedule, reading, now)
                except UnreadError as error:
                    reading.unread.append(UnreadOpening(index, error.fault, error.element, error.detail))
    return reading


def _take(extension: Resource, schedule: Resource, reading: _Reading, now: datetime) -> None:
    url = extension.get("url")
    if url == AVAILABILITY:
        free, period = _period(extension, _traits(schedule.get("extension", ())), reading.services, now)
        (reading.openings if free else reading.absences).append(period)
    elif url == DURATION:
        _take_service(extension, reading.services, reading.durations)
    elif url in (BUFFER_BEFORE, BUFFER_AFTER, GRID):
        reading.own[str(url)] = lasts(extension.get("valueDuration"), "valueDuration", least=0)
    elif url in (ROLE_HOURS, PUBLIC_HOLIDAYS):
        reading.own[str(url)] = boolean(extension)
    elif url in (MODE, VISIBILITY, NEW_PATIENTS, APPOINTMENT_TYPE, SCHOOL_HOLIDAYS, SERVICE):
        _offer([extension], {})


def _put_together(schedule: Resource, reading: _Reading, actors: Actors) -> Stated:
    services, durations = dict(reading.services), dict(reading.durations)
    for saying in (actors.offers, actors.roles):
        if durations:
            break
        for extension in (one for actor in saying for one in actor.get("extension", ())):
            if extension.get("url") == DURATION:
                try:
                    _take_service(extension, services, durations)
                except UnreadError:
                    continue  # the directory has to correct it: the agenda goes without it
    openings, absences = list(reading.openings), list(reading.absences)
    hours: tuple[Hours, ...] = ()
    if reading.own.get(ROLE_HOURS):
        hours = () if openings else tuple(h for role in actors.roles for h in _hours(role))
        absences += [period for role in actors.roles for period in _not_available(role)]
    unread = {opening.index for opening in reading.unread}
    read = [e for index, e in enumerate(schedule.get("extension", ())) if index not in unread]
    offer = _offer(read, {})
    if hours and offer != Offer():
        hours = tuple(Hours(h.weekdays, h.start, h.end, offer) for h in hours)
    statement = Statement(
        openings=tuple(openings),
        absences=tuple(absences),
        hours=hours,
        durations=durations,
        cutting=Cutting(
            reading.own.get(BUFFER_BEFORE, timedelta(0)),
            reading.own.get(BUFFER_AFTER, timedelta(0)),
            reading.own.get(GRID, timedelta(0)),
        ),
        open_on_public_holidays=reading.own.get(PUBLIC_HOLIDAYS, False),
        of_people=actors.of_people,
    )
    return Stated(statement, services, schedule, states_rules(schedule))


# -- services and what is offered --------------------------------------------------------------------------------


def _take_service(
    extension: Resource, services: dict[str, Resource], durations: dict[str, timedelta]
) -> None:
    parts = {part.get("url"): part for part in extension.get("extension", ())}
    concept = parts.get("serviceType", {}).get("valueCodeableConcept")
    if not isinstance(concept, dict):
        raise UnreadError("missing", "extension.where(url='serviceType')", "serviceType")
    name = service_name(concept)
    services[name] = concept
    if "duration" in parts:
        element = "extension.where(url='duration').valueDuration"
        durations[name] = lasts(parts["duration"].get("valueDuration"), element)


def service_name(concept: Resource) -> str:
    """Returns the name of a service: its first code, else its text."""
    for coding in concept.get("coding", ()):
        if coding.get("code"):
            return f"{coding.get('system', '')}|{coding['code']}"
    return str(concept.get("text", ""))


def _traits(extensions: Iterable[Resource]) -> dict[str, Any]:
    """Returns the traits of all openings, unless one says otherwise."""
    found: dict[str, Any] = {}
    _offer(extensions, found)
    return found


def _offer(extensions: Iterable[Resource], found: dict[str, Any]) -> Offer:
    """Reads what extensions say of an offer; `found` holds the defaults, and is changed."""
    given = [extension for extension in extensions if isinstance(extension, dict)]
    for extension in given:
        url = extension.get("url")
        where = f"extension.where(url='{url}')"
        if url == MODE:
            found["mode"] = code(extension, MODES, where)
        elif url == NEW_PATIENTS:
            found["new_patients"] = boolean(extension)
        elif url == APPOINTMENT_TYPE:
            found["appointment_type"] = concept(extension, where)
        elif url == SCHOOL_HOLIDAYS:
            found["school_holidays"] = code(extension, ("only", "except"), where)
    visibility = [code(e, VISIBILITIES, "valueCode") for e in given if e.get("url") == VISIBILITY]
    if visibility:
        found["visibility"] = sorted(set(visibility))
    services = frozenset(
        service_name(concept(e, "valueCodeableConcept")) for e in given if e.get("url") == SERVICE
    )
    traits = {name: value for name, value in sorted(found.items()) if name != "school_holidays"}
    return Offer(services, dumps(traits).decode() if traits else "", found.get("school_holidays"))


# -- one opening or absence --------------------------------------------------------------------------------------


def _period(
    extension: Resource, traits: dict[str, Any], services: Mapping[str, Resource], now: datetime
) -> tuple[bool, Period]:
    """Reads an opening (True) or an absence (False)."""
    given = [part for part in extension.get("extension", ()) if isinstance(part, dict)]
    parts = {part.get("url"): part for part in given}
    kind = parts.get("type", {}).get("valueCoding", {}).get("code") or parts.get("type", {}).get("valueCode")
    for name, value in (("type", kind), *((n, dated(parts.get(n))) for n in ("start", "end"))):
        if value is None:
            raise UnreadError("missing", "extension", name)
    start, end = moment(parts["start"], "start"), through(moment(parts["end"], "end"))
    if order(end, last=True) <= order(start):
        raise UnreadError("order", "extension.where(url='end')")
    rule = recurrence(parts["rrule"]) if "rrule" in parts else None
    if rule is not None:
        if order(end, last=True) - order(start) > LENGTH_MAX:
            raise UnreadError("too-long", "extension.where(url='end')", str(LENGTH_MAX.days))
        if rule.count is not None and now - order(start) > COUNTED_BACK_MAX:
            raise UnreadError("too-old", "extension.where(url='start')", str(COUNTED_BACK_MAX.days))
    priority = parts.get("priority", {}).get("valueInteger")
    offer = _offer(given, dict(traits))
    if unknown := offer.services - services.keys() if services else frozenset():
        raise UnreadError("service", f"extension.where(url='{SERVICE}')", min(unknown))
    return kind == "free", Period(start, end, rule, priority, offer)


# -- what roles say ----------------------------------------------------------------------------------------------


def _hours(role: Resource) -> Iterator[Hours]:
    """PractitionerRole.availableTime; without days, every day."""
    for one in role.get("availableTime", ()):
        days = frozenset(
            DAYS[day[:2].upper()] for day in one.get("daysOfWeek", ()) if day[:2].upper() in DAYS
        )
        start, end = one.get("availableStartTime"), one.get("availableEndTime")
        if one.get("allDay") or (start is None and end is None):
            yield Hours(days or frozenset(range(7)))
        else:
            yield Hours(
                days or frozenset(range(7)),
                time_of(start) if start else time.min,
                through_the_day(time_of(end)) if end else time.min,
            )


def _not_available(role: Resource) -> Iterator[Period]:
    """Reads PractitionerRole.notAvailable; without an end, or a beginning, it is open there."""
    for one in role.get("notAvailable", ()):
        during = one.get("during")
        if not isinstance(during, dict):
            continue
        start, end = str(during.get("start", "1970-01-01")), str(during.get("end", "9000-01-01"))
        yield Period(read_day(start, last=False), read_day(end, last=True))
