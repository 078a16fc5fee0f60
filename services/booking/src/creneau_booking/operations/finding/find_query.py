"""Reads a call of `$find`: AND between kinds of actor, OR within a kind, in the spellings of IHE, Argonaut and Medplum.

| | IHE ITI-115 | Argonaut | Medplum |
|---|---|---|---|
| when | start, end | start, end | start, end |
| with whom | practitioner, organization | practitioner, organization | schedule |
| where | location-reference, location-string | location-reference, location-string | schedule |
| for what | specialty, visit-type, reason | specialty, visit-type, reason | service-type-reference |
| for whom | patient-reference, patient-resource | patient-reference, patient-resource | – |
| how often | timing | – | occurrence-count |
| beside | referral-identifier, insurance-reference | coverage | ignore-appointment |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from creneau_booking.domain.joint import Series
from creneau_booking.operations.references import id_of
from creneau_booking.storage.finding.local_times import LocalTimes
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.datatypes import time_of, whole_number
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource

ACTORS: Mapping[tuple[str, ...], str] = {
    ("practitioner", "practitioner-reference"): "Practitioner",
    ("practitioner-role", "practitioner-role-reference"): "PractitionerRole",
    ("location-reference", "location"): "Location",
    ("device", "device-reference"): "Device",
    ("service-type-reference", "healthcare-service"): "HealthcareService",
}
"""Operation parameters → the type of actor that they name."""
PEOPLE = frozenset(ACTORS.values())
OF_ORGANIZATION = tuple(
    f"schedule.actor:{kind}.organization"
    for kind in ("PractitionerRole", "HealthcareService", "Location", "Device")
)
"""Search paths from a slot to the organisation that owns its agenda, by whom the agenda names"""
OF_ADDRESS = ("schedule.actor:HealthcareService.location.address", "schedule.actor:Device.location.address")
"""Search paths from a slot to its address, beside those by the place of its agenda and of roles"""
CODES: Mapping[str, tuple[str, ...]] = {
    "specialty": ("specialty",),
    "service-type": ("service-type",),
    "visit-type": ("service-type", "appointment-type"),
}
"""Operation parameters → the search parameters of Slot of which one is meant"""
SERVICE = "HealthcareService"
PATIENTS = ("patient-reference", "patient")
WEEKDAYS = {name: n for n, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1)}
PARTS_OF_DAY = {
    "MORN": (time(0), time(12)),
    "NOON": (time(11), time(14)),
    "AFT": (time(12), time(18)),
    "EVE": (time(18), time(0)),
}
"""`when` (FHIR's event-timing, without the part after a dot) → the hours in which a visit begins"""
OCCURRENCES_MAX = 12
WEEKS_MAX = 8
TOGETHER_MAX = 6
"""Agendas of one proposal: its id names them"""
KINDS_OF_AGENDA = ("Practitioner", "PractitionerRole", "Patient", "Device", "HealthcareService", "Location")
"""An agenda counts as the first of these kinds that it names"""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Named:
    """References of one kind, of which one has to take part. `kind`: a resource type, or `Schedule`."""

    kind: str
    references: tuple[Resource, ...]

    def kind_of(self, reference: Resource) -> str:
        """Returns the type of a reference: a role may be named in the parameter for professionals."""
        said = str(reference.get("reference", "")).partition("/_history/")[0].rstrip("/").split("/")[-2:-1]
        kind = said[0] if said else str(reference.get("type", ""))
        return kind if self.kind in PEOPLE and kind in PEOPLE else self.kind


def named_in(given: OperationInput) -> list[Named]:
    """Returns each named kind with its references, in the order of preference. Values of `schedule` are wanted together
    (Medplum); a value with commas asks for one agenda of each kind that it names. Raises Unprocessable if more are wanted
    together than a proposal has."""
    found = [Named(kind, tuple(given.references(*names))) for names, kind in ACTORS.items()]
    agendas = {str(some): Named("Schedule", tuple(some)) for some in given.alternatives("schedule")}
    require_few_together(len(agendas))
    return [*(named for named in found if named.references), *agendas.values()]


def require_few_together(wanted: int) -> None:
    """Raises Unprocessable if more are wanted at one time than a proposal can have agendas."""
    if wanted > TOGETHER_MAX:
        raise too_many_agendas(
            f"Une proposition réunit au plus {TOGETHER_MAX} agendas ; demandez-en moins ensemble.",
            f"A proposal has at most {TOGETHER_MAX} agendas; ask for fewer together.",
        )


def too_many_agendas(fr: str, en: str) -> Unprocessable:
    """The refusal of a call that asks for too many agendas."""
    return Unprocessable(
        fr, en, code="too-costly", expression="Parameters.parameter", details_code="too-many-agendas"
    )


def all_required(given: OperationInput) -> bool:
    """Whether every named actor has to take part, and not one of each kind."""
    return bool(given.flag("all-required", "joint"))


def times(start: datetime, end: datetime) -> Pairs:
    """Returns the search for free slots within `[start, end)`."""
    return [("status", "free"), ("start", f"ge{start.isoformat()}"), ("end", f"le{end.isoformat()}")]


def codes(given: OperationInput) -> list[Pairs]:
    """Returns, for each parameter of CODES that is given, the alternative criteria on Slot."""
    return [
        [(search_name, ",".join(wanted)) for search_name in names]
        for name, names in CODES.items()
        if (wanted := given.codes(name))
    ]


def by_reference(references: Sequence[Resource], path: str) -> Pairs:
    """Returns the alternative criteria: literal references are searched by id, logical ones by identifier."""
    ids = [id_of(reference) for reference in references if "reference" in reference]
    identifiers = [token for reference in references if (token := identifier_of(reference))]
    alternatives = ((path, ids), (f"{path}.identifier", identifiers))
    return [(name, ",".join(values)) for name, values in alternatives if values]


def identifier_of(reference: Resource) -> str:
    """Returns a logical reference's identifier: `system|value`, or `value` for any system. Empty for a literal one."""
    identifier = reference.get("identifier")
    if "reference" in reference or not isinstance(identifier, dict):
        return ""
    system, value = identifier.get("system", ""), identifier.get("value", "")
    return f"{system}|{value}" if system else str(value)


def series_of(given: OperationInput) -> Series | None:
    """Returns how many visits, and how often: from `occurrence-count` (weekly, or every `occurrence-interval` weeks;
    Medplum), or from IHE's `timing`."""
    timing = given.first("timing")
    repeat = timing.get("repeat", {}) if isinstance(timing, dict) else {}
    count = given.first("occurrence-count")
    weeks = given.first("occurrence-interval", "week-interval")
    if count is None and isinstance(repeat, dict) and "count" in repeat:
        if repeat.get("periodUnit") != "wk" or repeat.get("frequency", 1) != 1:
            raise Unprocessable(
                "Une série est d'une visite toutes les n semaines (frequency 1, periodUnit wk).",
                "A series is of one visit every n weeks (frequency 1, periodUnit wk).",
                expression=parameter_named("timing"),
                details_code="series-form",
            )
        count, weeks = repeat["count"], repeat.get("period", 1)
    if count is None or count == "":
        return None
    number = _whole(count, "occurrence-count", 1, OCCURRENCES_MAX)
    every = _whole(1 if weeks in (None, "") else weeks, "occurrence-interval", 1, WEEKS_MAX)
    return Series(number, every) if number > 1 else None


def times_of(given: OperationInput) -> LocalTimes | None:
    """Returns the preferred times of IHE's `timing`: days of the week, parts of the day, times of day."""
    timing = given.first("timing")
    repeat = timing.get("repeat") if isinstance(timing, dict) else None
    if not isinstance(repeat, dict):
        return None
    weekdays = [WEEKDAYS[day] for day in repeat.get("dayOfWeek", ()) if day in WEEKDAYS]
    parts = [str(code).partition(".")[0] for code in repeat.get("when", ())]
    hours = [PARTS_OF_DAY[part] for part in parts if part in PARTS_OF_DAY]
    for text in filter(None, repeat.get("timeOfDay", ())):
        begin = time_of(text).replace(second=0, microsecond=0)
        hours.append((begin, (datetime.combine(date.min, begin) + timedelta(minutes=1)).time()))
    return LocalTimes(weekdays, hours) if weekdays or hours else None


def _whole(value: Any, name: str, least: int, most: int) -> int:
    text = str(value).removesuffix(".0")
    number = whole_number(text)
    if number is None or not least <= number <= most:
        raise BadRequest(
            f"« {name} » attend un nombre de {least} à {most} ; reçu « {value} ».",
            f"“{name}” takes a number from {least} to {most}; got “{value}”.",
            code="value",
            expression=parameter_named(name),
        )
    return number
