"""Reads the parameters of a `Slot/$soonest` call, from a query or a Parameters resource."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from creneau_booking.domain.times import require_in_reach
from creneau_booking.operations.references import id_of
from creneau_booking.storage.finding.soonest.conditions import Sought
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.datatypes import parse_interval, whole_number
from creneau_shared.fhir.rest.parameters import OperationInput, part_text
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import Limits, NearValue
from creneau_shared.fhir.search.terms import bounded, escape
from creneau_shared.fhir.search.values import BadValueError, Reading, read_value
from creneau_shared.fhir.storage.store import Resource

MODES = {
    "AMB": ("amb", "on-site", "onsite", "sur-place", "cabinet", "office"),
    "VR": ("vr", "video", "virtual", "teleconsultation", "téléconsultation", "remote"),
    "HH": ("hh", "home", "domicile", "visite"),
}
"""Code of the slot's service type (v3-ActCode) → words that ask for it"""
TIMES = {
    "morning": (time(0), time(12)),
    "afternoon": (time(12), time(18)),
    "evening": (time(18), time(0)),
}
TIMES |= {"matin": TIMES["morning"], "apres-midi": TIMES["afternoon"], "après-midi": TIMES["afternoon"]}
TIMES |= {"soir": TIMES["evening"]}
WEEKDAYS = {name: n for n, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1)}
HOURS = re.compile(r"(\d{2}:\d{2})-(\d{2}:\d{2})")
NOT_NEW = ("false", "nopt", "existptonly", "existptfam", "no", "NOPT")
"""Codes by which a professional or an agenda says that it takes no new patients"""
DAYS_MAX = 366

PEOPLE: Mapping[str, tuple[str, ...]] = {
    "Practitioner": ("practitioner", "practitioner-reference"),
    "PractitionerRole": ("practitioner-role", "practitionerrole", "role"),
    "Location": ("place", "location", "location-reference"),
    "HealthcareService": ("healthcare-service", "service-type-reference"),
    "Organization": ("organization",),
    "Schedule": ("schedule",),
}
CODED = {
    "specialty": ("specialty",),
    "language": ("language",),
    "sector": ("sector",),
    "accessibility": ("accessibility",),
}
AFTER, BEFORE = ("after", "start"), ("before", "end")
CURSORS = (CURSOR_PARAMETER, "cursor")
JUDGED_BY = ("resourceType", "birthDate")
"""What counts of a person whom a call describes (`patient-resource`), and all that a link says of them"""
OTHERS = (
    *AFTER, *BEFORE, *CURSORS, "service-type", "visit-type", "mode", "new-patient", "near", "days", "times", "time",
    "sort", "_sort", "_count", "per-agenda", "_include", "facets", "patient-reference", "patient", "patient-resource",
    "_format", "_pretty",
)  # fmt: skip
KNOWN = frozenset((*OTHERS, *CODED, *(name for names in PEOPLE.values() for name in names)))

Logical = Mapping[tuple[str, str], Sequence[str]]
"""(type, identifier `system|value`) → ids"""


def identifiers_of(given: OperationInput) -> list[tuple[str, str]]:
    """Returns the call's logical references: (type, identifier `system|value`)."""
    return [
        (kind, _identifier(reference))
        for kind, names in PEOPLE.items()
        for reference in given.references(*names)
        if "reference" not in reference or "|" in str(reference["reference"])
    ]


def sought(given: OperationInput, now: datetime, base_url: str, logical: Logical) -> Sought:
    """Returns what the call seeks. Raises BadRequest or Unprocessable, naming the parameter, for values that cannot be read
    or do not go together."""
    near = _near(given, now, base_url)
    specialties = _codes(given, "specialty")
    start, end, weekdays = _window(given, now)
    groups: list[tuple[str, ...]] = []
    named: list[tuple[str, ...]] = []
    for kind, names in PEOPLE.items():
        references = given.references(*names)
        if not references:
            continue
        wanted = tuple(
            f"{kind}/{id_}"
            for reference in references
            for id_ in (
                [id_of(reference)]
                if "reference" in reference and "|" not in str(reference["reference"])
                else logical.get((kind, _identifier(reference)), ())
            )
        )
        named.append(wanted)
        if kind != "Schedule":
            name = "organization" if kind == "Organization" else "actor"
            groups.append(tuple(f"{name}={reference}" for reference in wanted))
    groups += [tuple(_term(name, code) for code in codes) for name in CODED if (codes := _codes(given, name))]
    if codes := _codes(given, "service-type"):
        groups.append(tuple(_term("service-type", code) for code in codes))
    if codes := _codes(given, "visit-type"):
        groups.append(
            tuple(_term(name, code) for name in ("service-type", "appointment-type") for code in codes)
        )
    if modes := given.texts("mode") or _codes(given, "mode"):
        groups.append(tuple(_term("service-type", _mode(mode)) for mode in modes))
    by_distance = _by_distance(given, near)
    return Sought(
        start=start,
        end=end,
        terms=tuple(groups),
        never=_never(given),
        specialties=tuple(code.rpartition("|")[2] for code in specialties),
        near=near,
        named=tuple(named),
        times=_times(given),
        weekdays=weekdays,
        by_distance=by_distance,
    )


def count_of(given: OperationInput, name: str, default: int, most: int) -> int:
    """Returns `_count` or `per-agenda`, cut down to `most`. Raises BadRequest below 1."""
    value = given.first(name)
    if value is None or value == "":
        return default
    count = whole_number(value)
    if not count:
        raise _bad(name, "un nombre entier positif", "a positive whole number", value)
    return min(count, most)


def included_by(given: OperationInput, known: Collection[str]) -> frozenset[str]:
    """Returns the references (`_include`: `Type:parameter`) to follow: those that the call names, else all of `known`."""
    named = given.texts("_include")
    for one in named:
        if one not in known:
            raise _bad("_include", ", ".join(known), ", ".join(known), one)
    return frozenset(named or known)


def pairs_of(given: OperationInput) -> list[tuple[str, str]]:
    """Returns the call as a query, without its cursor: links are made of it, and what their cursors are good for."""
    return [
        (name, text)
        for name in sorted(given.names.difference(CURSORS))
        for value in given.all(name)
        if (text := _text(value))
    ]


def _text(value: Any) -> str:
    """Returns a value as a query says it; empty for what no search reads."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, dict):
        return str(value)
    if value.get("resourceType") == "Patient":
        return part_text(resource={name: value[name] for name in JUDGED_BY if name in value})
    if "repeat" in value:
        return part_text(valueTiming=value)
    if "reference" in value:
        return str(value["reference"])
    if isinstance(value.get("identifier"), dict):
        return part_text(valueReference=value) if "type" in value else _identifier(value)
    if isinstance(value.get("value"), str):
        return _identifier({"identifier": value})
    return ",".join(OperationInput([("code", value)]).codes("code"))


def _identifier(reference: Resource) -> str:
    if "reference" in reference:
        return str(reference["reference"])
    identifier = reference.get("identifier")
    if not isinstance(identifier, dict):
        return "|"
    return f"{identifier.get('system', '')}|{identifier.get('value', '')}"


def _codes(given: OperationInput, name: str) -> list[str]:
    return [part.strip() for code in given.codes(name) for part in code.split(",") if part.strip()]


def _term(name: str, token: str) -> str:
    """Returns the search term of a token (`code`, `system|code`, `|code`)."""
    system, bar, code = token.rpartition("|")
    return bounded(f"{name}={system}|{escape(code)}" if bar and system else f"{name}={escape(code)}")


def _mode(text: str) -> str:
    wanted = text.rpartition("|")[2].strip().lower()
    for code, names in MODES.items():
        if wanted in names:
            return code
    raise _bad(
        "mode", "on-site, video ou home (ou AMB, VR, HH)", "on-site, video or home (or AMB, VR, HH)", text
    )


def _never(given: OperationInput) -> tuple[str, ...]:
    return tuple(f"new-patient={code}" for code in NOT_NEW) if given.flag("new-patient") else ()


def _near(given: OperationInput, now: datetime, base_url: str) -> NearValue | None:
    text = given.first("near")
    if text is None or text == "":
        return None
    reading = Reading(PARIS, now, base_url, (), Limits())
    try:
        value = read_value(parameters_of("Location")["near"], None, str(text), reading)
    except BadValueError as error:
        raise BadRequest(
            f"« near » : {error.fr} ; reçu « {text} ».",
            f"“near”: {error.en}; got “{text}”.",
            code="value",
            expression="http.near",
        ) from error
    assert isinstance(value, NearValue)
    return value


def _by_distance(given: OperationInput, near: NearValue | None) -> bool:
    value = str(given.first("sort", "_sort") or "time")
    if value in ("time", "start"):
        return False
    if value != "distance":
        raise _bad("sort", "time ou distance", "time or distance", value)
    if near is None:
        raise Unprocessable(
            "Pour trier par distance, dites à partir d'où (near).",
            "To sort by distance, say from where (near).",
            code="required",
            expression="http.near",
            details_code="no-place",
        )
    return True


def _window(given: OperationInput, now: datetime) -> tuple[datetime, datetime | None, tuple[int, ...]]:
    """Returns start, end and days of the week. `days` is either a number of days, or days of the week."""
    start = _moment(given, AFTER, 0) or now
    end = _moment(given, BEFORE, 1)
    start = max(start, now)
    require_in_reach("Slot", "start", start)
    weekdays: list[int] = []
    for text in given.texts("days") or [str(value) for value in given.all("days")]:
        days = whole_number(text)
        if days is not None and 0 < days <= DAYS_MAX:
            local = start.astimezone(PARIS)
            last = (local + timedelta(days=days)).astimezone(start.tzinfo)
            end = last if end is None else min(end, last)
        elif text.lower()[:3] in WEEKDAYS:
            weekdays.append(WEEKDAYS[text.lower()[:3]])
        else:
            raise _bad("days", "un nombre de jours, ou mon,tue…", "a number of days, or mon,tue…", text)
    if end is not None and end <= start:
        raise Unprocessable(
            "La fin de la période cherchée doit suivre son début.",
            "The searched period must end after it starts.",
            expression="http.before",
            details_code="window-order",
        )
    return start, end, tuple(weekdays)


def _moment(given: OperationInput, names: tuple[str, ...], bound: int) -> datetime | None:
    value = given.first(*names)
    if value is None or value == "":
        return None
    try:
        return parse_interval(str(value), PARIS)[bound]
    except ValueError as error:
        raise _bad(names[0], "une date FHIR", "a FHIR date", value) from error


def _times(given: OperationInput) -> tuple[tuple[time, time], ...]:
    found = []
    for text in given.texts("times", "time"):
        if text.lower() in TIMES:
            found.append(TIMES[text.lower()])
            continue
        hours = HOURS.fullmatch(text)
        try:
            if hours is None:
                raise ValueError("not two times of day")
            found.append((time.fromisoformat(hours[1]), time.fromisoformat(hours[2])))
        except ValueError as error:
            raise _bad(
                "times",
                "morning, afternoon, evening ou 08:00-10:30",
                "morning, afternoon, evening or 08:00-10:30",
                text,
            ) from error
    return tuple(found)


def _bad(name: str, fr: str, en: str, value: object) -> BadRequest:
    return BadRequest(
        f"« {name} » attend {fr} ; reçu « {value} ».",
        f"“{name}” takes {en}; got “{value}”.",
        code="value",
        expression=f"http.{name}",
    )
