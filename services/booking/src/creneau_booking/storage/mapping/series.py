"""Series as R5 says them, in R4: the cross-version extensions of Appointment, read and written.

| R5 | here |
|---|---|
| `recurrenceTemplate` | how the series recurs: sent with the first appointment, kept with it |
| `recurrenceId` | its number in the series, from 1 |
| `originatingAppointment` | the first, on all others |
| `occurrenceChanged` | it was moved by itself |

All of a series also bear one identifier, by which they are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from creneau_booking.domain.appointment import Occurrence
from creneau_booking.domain.refusals.series import RecurrenceUnread, ScopeUnfit
from creneau_booking.domain.series import LAST, SCOPES, Monthly, Recurrence, Scope
from creneau_shared.clock import zone_named
from creneau_shared.fhir.storage.store import Resource

_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment."
RECURRENCE_TEMPLATE = _R5 + "recurrenceTemplate"
RECURRENCE_ID = _R5 + "recurrenceId"
OCCURRENCE_CHANGED = _R5 + "occurrenceChanged"
ORIGINATING = _R5 + "originatingAppointment"
SERIES_SCOPE = "https://creneau.sante.fr/fhir/StructureDefinition/series-scope"
"""extension (code) of a cancellation, not stored: how much of the series it is about"""
SERIES = "https://creneau.sante.fr/fhir/identifier/series"
"""system of the identifier that all of a series bear"""

_OURS = frozenset({RECURRENCE_TEMPLATE, RECURRENCE_ID, OCCURRENCE_CHANGED, ORIGINATING})
_UNITS = {
    "daily": frozenset({"d", "daily", "day"}),
    "weekly": frozenset({"wk", "w", "weekly", "week"}),
    "monthly": frozenset({"mo", "m", "monthly", "month"}),
    "yearly": frozenset({"a", "y", "yearly", "year", "annually"}),
}
"""names of a unit of recurrence: R5's words, or UCUM"""
_INTERVALS = {
    "daily": "dayInterval",
    "weekly": "weekInterval",
    "monthly": "monthInterval",
    "yearly": "yearInterval",
}
_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": LAST}
"""R5 week-of-month"""
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def template_of(appointment: Resource) -> Resource | None:
    """Returns the recurrenceTemplate of an appointment that is sent, as it was said."""
    return next(
        (e for e in _extensions(appointment) if e.get("url") == RECURRENCE_TEMPLATE),
        None,
    )


def without_series(appointment: Resource) -> Resource:
    """Returns what is sent without the extensions of a series, which concern all of it together."""
    kept = [e for e in _extensions(appointment) if e.get("url") not in _OURS]
    rest = {name: value for name, value in appointment.items() if name != "extension"}
    return {**rest, "extension": kept} if kept else rest


def with_template(appointment: Resource, template: Resource) -> Resource:
    """Returns the appointment with the extension that says how its series recurs."""
    return {**appointment, "extension": [*appointment.get("extension", ()), template]}


def scope_of(appointment: Resource) -> tuple[Scope | None, Resource]:
    """Returns how much of its series a sent version says to be about, and what is left to be stored. Raises ScopeUnfit for
    an unknown scope."""
    said = [e for e in _extensions(appointment) if e.get("url") == SERIES_SCOPE]
    if not said:
        return None, appointment
    kept = [e for e in _extensions(appointment) if e.get("url") != SERIES_SCOPE]
    rest = {name: value for name, value in appointment.items() if name != "extension"}
    scope = read_scope(said[0].get("valueCode", said[0].get("valueString", "")))
    return scope, {**rest, "extension": kept} if kept else rest


def read_scope(said: object) -> Scope:
    """Returns the scope of that name; raises ScopeUnfit if there is none."""
    for scope, names in SCOPES.items():
        if said in names:
            return scope
    raise ScopeUnfit(str(said), "unknown")


def occurrence_of(appointment: Resource) -> Occurrence | None:
    """Returns the place of a stored appointment in its series; None if it is in none."""
    series = next(
        (i.get("value") for i in appointment.get("identifier", ()) if i.get("system") == SERIES), None
    )
    said = {e.get("url"): e for e in appointment.get("extension", ())}
    number = said.get(RECURRENCE_ID, {}).get("valuePositiveInt")
    if not series or not number:
        return None
    origin = str(said.get(ORIGINATING, {}).get("valueReference", {}).get("reference", ""))
    return Occurrence(
        series,
        int(number),
        origin.removeprefix("Appointment/") or None,
        said.get(RECURRENCE_TEMPLATE),
        said.get(OCCURRENCE_CHANGED, {}).get("valueBoolean") is True,
    )


def with_occurrence(appointment: Resource, occurrence: Occurrence) -> Resource:
    """Returns the resource with its place in a series."""
    extensions = [e for e in appointment.get("extension", ()) if e.get("url") not in _OURS]
    if occurrence.template is not None:
        extensions.append(dict(occurrence.template))
    extensions.append({"url": RECURRENCE_ID, "valuePositiveInt": occurrence.number})
    if occurrence.origin is not None:
        reference = {"reference": f"Appointment/{occurrence.origin}"}
        extensions.append({"url": ORIGINATING, "valueReference": reference})
    if occurrence.changed:
        extensions.append({"url": OCCURRENCE_CHANGED, "valueBoolean": True})
    identifiers = [i for i in appointment.get("identifier", ()) if i.get("system") != SERIES]
    own = {"system": SERIES, "value": occurrence.series}
    return {**appointment, "identifier": [*identifiers, own], "extension": extensions}


def recurrence_of(template: Resource) -> Recurrence:
    """Returns what a recurrenceTemplate says. Raises RecurrenceUnread, naming the element, if it cannot be followed here: by
    days, weeks, months or years, or on named dates."""
    said = _parts(template)
    kind = _code(said.get("recurrenceType", []), "recurrenceType")
    unit = next((unit for unit, names in _UNITS.items() if kind in names), None)
    if kind is not None and unit is None and "occurrenceDate" not in said:
        raise RecurrenceUnread("recurrenceType")
    templates = {u: _parts(said[f"{u}Template"][0]) for u in _UNITS if said.get(f"{u}Template")}
    unit = unit or next(iter(templates), "weekly")
    if wrong := sorted(templates.keys() - {unit}):
        raise RecurrenceUnread(f"{wrong[0]}Template")
    own, weekly = templates.get(unit, {}), templates.get("weekly", {})
    days = [
        n for n, day in enumerate(_DAYS) if any(e.get("valueBoolean") is True for e in weekly.get(day, ()))
    ]
    zone_said = _code(said.get("timezone", []), "timezone")
    zone = zone_named(zone_said)
    if zone_said is not None and zone is None:
        raise RecurrenceUnread("timezone")
    last = _dates(said, "lastOccurrenceDate")
    return Recurrence(
        weekdays=frozenset(days),
        interval=(_number(own.get(_INTERVALS[unit], []), _INTERVALS[unit]) or 1)
        * (12 if unit == "yearly" else 1),
        monthly=_monthly(own) if unit in ("monthly", "yearly") else None,
        daily=unit == "daily",
        count=_number(said.get("occurrenceCount", []), "occurrenceCount"),
        last=last[0] if last else None,
        dates=_dates(said, "occurrenceDate"),
        left_out=frozenset(_dates(said, "excludingDate")),
        numbers_left_out=frozenset(
            n for e in said.get("excludingRecurrenceId", ()) if (n := _number([e], "excludingRecurrenceId"))
        ),
        zone=zone,
    )


def _monthly(said: dict[str, list[Resource]]) -> Monthly:
    """Returns the day of the month (R5 dayOfMonth; nthWeekOfMonth with dayOfWeek)."""
    day = _number(said.get("dayOfMonth", []), "dayOfMonth")
    if day is not None and day > 31:
        raise RecurrenceUnread("dayOfMonth")
    which, weekday = (_code(said.get(name, []), name) for name in ("nthWeekOfMonth", "dayOfWeek"))
    nth = _NTH.get((which or "").lower())
    days = [n for n, name in enumerate(_DAYS) if name[:3] == (weekday or "-")[:3].lower()]
    if (which is not None and nth is None) or (day is not None and nth is not None):
        raise RecurrenceUnread("nthWeekOfMonth")
    if weekday is not None and (not days or nth is None):
        raise RecurrenceUnread("dayOfWeek")
    return Monthly(day, nth, days[0] if days else None)


def _extensions(resource: Resource) -> Sequence[Any]:
    """Returns the readable extensions of a resource that has not been checked yet."""
    said = resource.get("extension", ())
    return [e for e in said if isinstance(e, dict)] if isinstance(said, list) else ()


def _parts(extension: Resource) -> dict[str, list[Resource]]:
    """The parts of a complex extension by the last word of their urls."""
    found: dict[str, list[Resource]] = {}
    for part in _extensions(extension):
        name = str(part.get("url", "")).rsplit("/", 1)[-1].rsplit(".", 1)[-1]
        found.setdefault(name, []).append(part)
    return found


def _code(parts: Sequence[Resource], element: str) -> str | None:
    for part in parts:
        concept = part.get("valueCodeableConcept")
        codings = concept.get("coding", ()) if isinstance(concept, dict) else [part.get("valueCoding", {})]
        said = [str(c["code"]) for c in codings if isinstance(c, dict) and c.get("code")]
        said += [str(part[name]) for name in ("valueCode", "valueString") if name in part]
        if not said:
            raise RecurrenceUnread(element)
        return said[0]
    return None


def _number(parts: Sequence[Resource], element: str) -> int | None:
    for part in parts:
        number = next(
            (part[n] for n in ("valuePositiveInt", "valueInteger", "valueUnsignedInt") if n in part), None
        )
        if not isinstance(number, int) or number < 1:
            raise RecurrenceUnread(element)
        return number
    return None


def _dates(said: dict[str, list[Resource]], element: str) -> tuple[date, ...]:
    try:
        return tuple(date.fromisoformat(str(part.get("valueDate"))[:10]) for part in said.get(element, ()))
    except ValueError as error:
        raise RecurrenceUnread(element) from error
