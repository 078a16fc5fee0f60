"""What an agenda states of its time, as FHIR says it: extensions of Schedule, what its actors state → `Statement`.

FR Core has two of these extensions (opening times with their recurrence, durations of services); the others are ours and
stand beside them, or within one opening time. What is stated on the Schedule itself holds for all its openings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, get_args

from creneau_booking.domain.openings.refusals import OpeningFault, OpeningsUnread, UnreadOpening
from creneau_booking.domain.openings.rules import (
    Cutting,
    Frequency,
    Hours,
    Kind,
    Moment,
    Offer,
    Period,
    Recurrence,
    Statement,
)
from creneau_booking.storage.slot_visibility import SLOT_TYPE_SYSTEM
from creneau_shared.fhir.datatypes import instant_of, parse_interval, time_of
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
"""boolean: for patients who are new to the practice, or for those whom it knows."""
MODE = _OWN + "opening-mode"
VISIBILITY = _OWN + "opening-visibility"
"""code of TRE_R314: who is shown the slots."""
SCHOOL_HOLIDAYS = _OWN + "opening-school-holidays"
SLOT_NEW_PATIENTS = _OWN + "slot-new-patients"
"""The same on the Slot."""

MODES = {"on-site": "AMB", "home": "HH", "video": "VR"}
"""How one comes → as SAS codes it on a Slot (v3-ActCode)."""
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_DISPLAY = {"AMB": "Consultation au cabinet", "HH": "Visite à domicile", "VR": "Téléconsultation"}
VISIBILITIES = frozenset({"PUBLIC", "PRO", "SNP", "CPTS"})
RULES_MAX = 500
"""opening times and absences that one agenda states"""
TIMES_A_DAY_MAX = 48
"""how often one of them comes in a day"""
LENGTH_MAX = timedelta(days=31)
"""of a period that comes again"""
COUNTED_BACK_MAX = timedelta(days=3660)
"""how long ago a period may have begun whose occurrences are counted"""
LASTS_MAX_S = 86_400
"""of a service, a buffer, a grid, seconds"""
_DAYS = {name: place for place, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_UNIT_WORDS = {"second": "s", "seconde": "s", "minute": "min", "mn": "min", "hour": "h", "heure": "h"}
_FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)
_DATED = len("2026-11-28")


class _UnreadError(Exception):
    def __init__(self, fault: OpeningFault, element: str = "", detail: str = "") -> None:
        super().__init__(fault)
        self.fault, self.element, self.detail = fault, element, detail


@dataclass(frozen=True, slots=True)
class Stated:
    """What an agenda states, and how its slots look. `services`: CodeableConcepts by what they are called here."""

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
    """What the directory says of an agenda's actors, as resources: those that it names, and where its roles are."""

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
    """What a Schedule states, with what it leaves to its actors. OpeningsUnread, with each extension that cannot be read."""
    reading = _read(schedule, now)
    if reading.unread:
        raise OpeningsUnread(tuple(reading.unread))
    return _put_together(schedule, reading, actors)


def understood(schedule: Resource, actors: Actors, now: datetime) -> Stated:
    """What can be read of a Schedule that others have accepted."""
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
    # What holds for the whole agenda first: an opening may name what is offered further on.
    for ours in (False, True):
        for index, extension in extensions:
            if (extension.get("url") == AVAILABILITY) == ours:
                try:
                    _take(extension, schedule, reading, now)
                except _UnreadError as error:
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
        reading.own[str(url)] = _lasts(extension.get("valueDuration"), "valueDuration", least=0)
    elif url in (ROLE_HOURS, PUBLIC_HOLIDAYS):
        reading.own[str(url)] = _boolean(extension)
    elif url in (MODE, VISIBILITY, NEW_PATIENTS, APPOINTMENT_TYPE, SCHOOL_HOLIDAYS):
        _offer([extension], {})


def _put_together(schedule: Resource, reading: _Reading, actors: Actors) -> Stated:
    services, durations = dict(reading.services), dict(reading.durations)
    for actor in (*actors.offers, *actors.roles):
        if durations:
            break
        for extension in actor.get("extension", ()):
            if extension.get("url") == DURATION:
                try:
                    _take_service(extension, services, durations)
                except _UnreadError:
                    continue  # the directory's to correct: the agenda goes without it
    openings, absences = list(reading.openings), list(reading.absences)
    hours: tuple[Hours, ...] = ()
    if reading.own.get(ROLE_HOURS):
        hours = () if openings else tuple(h for role in actors.roles for h in _hours(role))
        absences += [period for role in actors.roles for period in _not_available(role)]
    offer = _offer(schedule.get("extension", ()), {})
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
        raise _UnreadError("missing", "extension.where(url='serviceType')", "serviceType")
    name = service_name(concept)
    services[name] = concept
    if "duration" in parts:
        element = "extension.where(url='duration').valueDuration"
        durations[name] = _lasts(parts["duration"].get("valueDuration"), element)


def service_name(concept: Resource) -> str:
    """What a service is called here: its first code, else its words."""
    for coding in concept.get("coding", ()):
        if coding.get("code"):
            return f"{coding.get('system', '')}|{coding['code']}"
    return str(concept.get("text", ""))


def _traits(extensions: Iterable[Resource]) -> dict[str, Any]:
    """What all openings have, unless one says otherwise."""
    found: dict[str, Any] = {}
    _offer(extensions, found)
    return found


def _offer(extensions: Iterable[Resource], found: dict[str, Any]) -> Offer:
    """What extensions say of what is offered; `found` holds what holds otherwise, and is changed."""
    given = [extension for extension in extensions if isinstance(extension, dict)]
    for extension in given:
        url = extension.get("url")
        where = f"extension.where(url='{url}')"
        if url == MODE:
            found["mode"] = _code(extension, MODES, where)
        elif url == NEW_PATIENTS:
            found["new_patients"] = _boolean(extension)
        elif url == APPOINTMENT_TYPE:
            found["appointment_type"] = _concept(extension, where)
        elif url == SCHOOL_HOLIDAYS:
            found["school_holidays"] = _code(extension, ("only", "except"), where)
    visibility = [_code(e, VISIBILITIES, "valueCode") for e in given if e.get("url") == VISIBILITY]
    if visibility:
        found["visibility"] = sorted(set(visibility))
    services = frozenset(
        service_name(_concept(e, "valueCodeableConcept")) for e in given if e.get("url") == SERVICE
    )
    traits = {name: value for name, value in sorted(found.items()) if name != "school_holidays"}
    return Offer(services, dumps(traits).decode() if traits else "", found.get("school_holidays"))


def _code(extension: Resource, known: Iterable[str], where: str) -> str:
    code = extension.get("valueCode") or extension.get("valueCoding", {}).get("code")
    if code is None:
        code = extension.get("valueString")
    if code not in known:
        raise _UnreadError("code", where, ", ".join(sorted(known)))
    return str(code)


def _concept(extension: Resource, where: str) -> Resource:
    concept = extension.get("valueCodeableConcept")
    if isinstance(concept, dict):
        return concept
    if isinstance(coding := extension.get("valueCoding"), dict):
        return {"coding": [coding]}
    raise _UnreadError("missing", where, "valueCodeableConcept")


def _boolean(extension: Resource) -> bool:
    value = extension.get("valueBoolean")
    if not isinstance(value, bool):
        raise _UnreadError("missing", "valueBoolean", "valueBoolean")
    return value


def _lasts(quantity: object, element: str, *, least: int = 60) -> timedelta:
    """A Duration, whole seconds, at least `least` of them."""
    if not isinstance(quantity, dict) or quantity.get("value") is None:
        raise _UnreadError("missing", element, "value")
    said = str(quantity.get("code") or quantity.get("unit") or "min")
    unit = _UNITS.get(said) or _UNITS.get(_UNIT_WORDS.get(said.rstrip("s").casefold(), ""))
    seconds = Decimal(str(quantity["value"])) * (unit or 0)
    if unit is None or seconds % 1 or not least <= seconds <= LASTS_MAX_S:
        raise _UnreadError("duration", element, ", ".join(_UNITS))
    return timedelta(seconds=int(seconds))


# -- one opening or absence --------------------------------------------------------------------------------------


def _period(
    extension: Resource, traits: dict[str, Any], services: Mapping[str, Resource], now: datetime
) -> tuple[bool, Period]:
    """An opening (True) or an absence."""
    given = [part for part in extension.get("extension", ()) if isinstance(part, dict)]
    parts = {part.get("url"): part for part in given}
    kind = parts.get("type", {}).get("valueCoding", {}).get("code") or parts.get("type", {}).get("valueCode")
    for name, value in (("type", kind), *((n, _dated(parts.get(n))) for n in ("start", "end"))):
        if value is None:
            raise _UnreadError("missing", "extension", name)
    start, end = _moment(parts["start"], "start"), _moment(parts["end"], "end")
    if _order(end, last=True) <= _order(start):
        raise _UnreadError("order", "extension.where(url='end')")
    rule = _recurrence(parts["rrule"]) if "rrule" in parts else None
    if rule is not None:
        if _order(end, last=True) - _order(start) > LENGTH_MAX:
            raise _UnreadError("too-long", "extension.where(url='end')", str(LENGTH_MAX.days))
        if rule.count is not None and now - _order(start) > COUNTED_BACK_MAX:
            raise _UnreadError("too-old", "extension.where(url='start')", str(COUNTED_BACK_MAX.days))
    priority = parts.get("priority", {}).get("valueInteger")
    offer = _offer(given, dict(traits))
    if unknown := offer.services - services.keys() if services else frozenset():
        raise _UnreadError("service", f"extension.where(url='{SERVICE}')", min(unknown))
    return kind == "free", Period(start, end, rule, priority, offer)


def _dated(part: Resource | None) -> object:
    return (
        None
        if part is None
        else part.get("valueDateTime") or part.get("valueInstant") or part.get("valueDate")
    )


def _moment(part: Resource, name: str) -> Moment:
    said = str(_dated(part))
    if len(said) < _DATED:
        raise _UnreadError("date", f"extension.where(url='{name}')")
    return _read_moment(said)


def _read_moment(said: str) -> Moment:
    return date.fromisoformat(said) if len(said) == _DATED else instant_of(said)


def _order(moment: Moment, *, last: bool = False) -> datetime:
    """Near enough for what comes before what."""
    if isinstance(moment, datetime):
        return moment
    return parse_interval(moment.isoformat(), UTC)[last]


def _recurrence(part: Resource) -> Recurrence:
    given: dict[str, list[Any]] = {}
    for one in part.get("extension", ()):
        value = next((v for key, v in one.items() if key.startswith("value")), None)
        given.setdefault(str(one.get("url")), []).append(value)
    where = "extension.where(url='rrule')"
    frequency = (given.get("freq") or [None])[0]
    said = frequency.get("code") if isinstance(frequency, dict) else frequency
    code = next((known for known in _FREQUENCIES if known == str(said).upper()), None)
    if code is None:
        raise _UnreadError("frequency", f"{where}.extension.where(url='freq')", ", ".join(_FREQUENCIES))

    def numbers(name: str, least: int, most: int, *, both_ends: bool = False) -> list[int]:
        found = []
        for value in given.get(name, ()):
            for text in str(value).split(","):
                number = _whole(text, name)
                if not least <= (abs(number) if both_ends else number) <= most:
                    raise _UnreadError("number", f"{where}.extension.where(url='{name}')", f"{least}–{most}")
                found.append(number)
        return found

    def first(name: str, most: int) -> int | None:
        return next(iter(numbers(name, 1, most)), None)

    until = (given.get("until") or [None])[0]
    ends = isinstance(until, str) and len(until) >= _DATED
    if until is not None and not ends:
        raise _UnreadError("date", f"{where}.extension.where(url='until')")
    rule = Recurrence(
        frequency=code,
        interval=first("interval", 1000) or 1,
        count=first("count", 10_000),
        until=_read_moment(until) if ends else None,
        months=frozenset(numbers("byMonth", 1, 12)),
        weeks=frozenset(numbers("byWeekNo", 1, 53, both_ends=True)),
        year_days=frozenset(numbers("byYearDay", 1, 366, both_ends=True)),
        month_days=frozenset(numbers("byMonthDay", 1, 31, both_ends=True)),
        weekdays=frozenset(_weekdays(given.get("byDay", ()), code, where)),
        hours=tuple(sorted(set(numbers("byHour", 0, 23)))),
        minutes=tuple(sorted(set(numbers("byMinute", 0, 59)))),
        seconds=tuple(sorted(set(numbers("bySecond", 0, 59)))),
        week_start=_DAYS.get(str((given.get("wkst") or ["MO"])[0])[:2].upper(), 0),
    )
    if rule.times_a_day > TIMES_A_DAY_MAX:
        raise _UnreadError("too-often", where, str(TIMES_A_DAY_MAX))
    if rule.weeks and code != "YEARLY":
        raise _UnreadError("not-with", f"{where}.extension.where(url='byWeekNo')", f"byWeekNo, {code}")
    return rule


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        where = f"extension.where(url='rrule').extension.where(url='{name}')"
        raise _UnreadError("number", where, name) from None


def _weekdays(values: Iterable[Any], frequency: str, where: str) -> Iterator[tuple[int, int]]:
    element = f"{where}.extension.where(url='byDay')"
    for text in (part.strip().upper() for value in values for part in str(value).split(",")):
        if text in ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"):
            text = text[:2]
        day = _DAYS.get(text[-2:])
        ordinal = text[:-2].lstrip("+") or "0"
        if day is None or not ordinal.lstrip("-").isdigit() or abs(int(ordinal)) > 53:
            raise _UnreadError("day", element, text[:20])
        if ordinal != "0" and frequency not in ("MONTHLY", "YEARLY"):
            raise _UnreadError("not-with", element, f"{text[:20]}, {frequency}")
        yield int(ordinal), day


# -- what roles say ----------------------------------------------------------------------------------------------


def _hours(role: Resource) -> Iterator[Hours]:
    """PractitionerRole.availableTime; without days, every day."""
    for one in role.get("availableTime", ()):
        days = frozenset(
            _DAYS[day[:2].upper()] for day in one.get("daysOfWeek", ()) if day[:2].upper() in _DAYS
        )
        start, end = one.get("availableStartTime"), one.get("availableEndTime")
        if one.get("allDay") or (start is None and end is None):
            yield Hours(days or frozenset(range(7)))
        else:
            yield Hours(
                days or frozenset(range(7)),
                time_of(start) if start else time.min,
                time_of(end) if end else time.min,
            )


def _not_available(role: Resource) -> Iterator[Period]:
    """PractitionerRole.notAvailable; one that says no end, or no beginning, is open there."""
    for one in role.get("notAvailable", ()):
        during = one.get("during")
        if not isinstance(during, dict):
            continue
        start, end = str(during.get("start", "1970-01-01")), str(during.get("end", "9000-01-01"))
        if len(start) >= _DATED and len(end) >= _DATED:
            yield Period(_read_moment(start), _read_moment(end))
