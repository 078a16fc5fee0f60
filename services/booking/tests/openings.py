"""Schedules that state openings, for the tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.booking.tests.factories import GENERAL, schedule

from creneau_booking.storage.openings.extensions import AVAILABILITY, DURATION
from creneau_shared.fhir.storage.store import Resource

OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
TYPES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-schedule-type"
WEEK = ("MO", "TU", "WE", "TH", "FR")
FOLLOW_UP = {"coding": [{"system": "http://exemple.fr/motifs", "code": "suivi", "display": "Suivi"}]}
FIRST_VISIT = {"coding": [{"system": "http://exemple.fr/motifs", "code": "premiere", "display": "Première"}]}


def opening(
    start: datetime | str,
    end: datetime | str,
    *more: Resource,
    kind: str = "free",
    priority: int | None = None,
    **rule: Any,
) -> Resource:
    """An opening (or with another `kind` an absence); `rule` is its recurrence: `freq="WEEKLY", byDay=["MO"]`."""
    parts: list[Resource] = [
        {"url": "identifier", "valueIdentifier": {"value": f"{kind}-{start}"}},
        {"url": "type", "valueCoding": {"system": TYPES, "code": kind}},
        {"url": "start", "valueDateTime": start if isinstance(start, str) else start.isoformat()},
        {"url": "end", "valueDateTime": end if isinstance(end, str) else end.isoformat()},
    ]
    if rule:
        parts.append({"url": "rrule", "extension": [*_rule(rule)]})
    if priority is not None:
        parts.append({"url": "priority", "valueInteger": priority})
    return {"url": AVAILABILITY, "extension": [*parts, *more]}


def _rule(rule: dict[str, Any]) -> list[Resource]:
    parts: list[Resource] = []
    for name, value in rule.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if name == "freq":
                coding = {"system": "https://www.ietf.org/rfc/rfc2445", "code": one}
                parts.append({"url": name, "valueCoding": coding})
            elif name == "until":
                parts.append({"url": name, "valueDateTime": one})
            elif name in ("byDay", "byYearDay"):
                parts.append({"url": name, "valueString": str(one)})
            elif name == "wkst":
                parts.append({"url": name, "valueCode": one})
            elif name in ("count", "interval", "byMonthDay", "byWeekNo"):
                parts.append({"url": name, "valueInteger": one})
            else:
                parts.append({"url": name, "valuePositiveInt": one})
    return parts


def service(concept: Resource, minutes: int) -> Resource:
    """How long a service takes."""
    lasts = {"value": minutes, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}
    return {
        "url": DURATION,
        "extension": [
            {"url": "serviceType", "valueCodeableConcept": concept},
            {"url": "duration", "valueDuration": lasts},
        ],
    }


def minutes(name: str, value: int) -> Resource:
    lasts = {"value": value, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}
    return {"url": f"{OWN}{name}", "valueDuration": lasts}


def flag(name: str, value: bool) -> Resource:
    return {"url": f"{OWN}{name}", "valueBoolean": value}


def code(name: str, value: str) -> Resource:
    return {"url": f"{OWN}{name}", "valueCode": value}


def ruled(id_: str, actors: list[str], *extensions: Resource, **more: Any) -> Resource:
    """A Schedule of these rules; 20 minutes a visit, where they say nothing of it."""
    given = list(extensions)
    if not any(one["url"] == DURATION for one in given):
        given.append(service(FOLLOW_UP, 20))
    return schedule(id_, actors, specialty=[GENERAL], extension=given, **more)
