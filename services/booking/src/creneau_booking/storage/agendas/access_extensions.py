"""The practice's rules as FHIR says them: extensions of Schedule and HealthcareService → `AccessRules`.

R4 has no element for them; `HealthcareService.eligibility` holds no more than a code and a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from creneau_booking.domain.access_rules import (
    AGE_YEARS_MAX,
    DAYS_MAX,
    MIDNIGHT,
    AccessRules,
    AgeLimit,
    BookingWindow,
)
from creneau_booking.domain.refusals.offering import RuleFault, RulesUnread, UnreadRule
from creneau_shared.fhir.datatypes import time_of
from creneau_shared.fhir.storage.store import Resource

_OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
MINIMUM_NOTICE = _OWN + "minimum-notice"
"""Duration (min, h, d): patients book no later than this before the start."""
BOOKING_WINDOW = _OWN + "booking-window"
"""`days` unsignedInt and `opensAt` time: a day's slots open so many days before it, at that local time."""
AGE_LIMIT = _OWN + "age-limit"
"""Range (a, mo): the ages, in completed years or months on the day of the appointment, both ends included."""
APPOINTMENTS_MAX = _OWN + "patient-appointments-max"
"""positiveInt: how many appointments to come one patient may have in the agenda."""
CHANGE_DEADLINE = _OWN + "change-deadline"
"""Duration (min, h, d): patients cancel or move no later than this before the start."""
CONFIRMATION_REQUIRED = _OWN + "schedule-confirmation-required"
"""boolean: what a patient books is `pending` until the practice confirms it."""
REFERRAL_REQUIRED = _OWN + "schedule-referral-required"
"""boolean: a patient's appointment says on which referral it is based (`basedOn`)."""
KNOWN_PATIENTS_ONLY = _OWN + "schedule-known-patients-only"
"""boolean: patients who have never been at the practice are not booked online."""
UCUM = "http://unitsofmeasure.org"
_MINUTES = {"min": 1, "h": 60, "d": 1440}
_MONTHS = {"mo": 1, "a": 12}


class UnreadableError(Exception):
    """An extension cannot be read as a rule; `element` is the path within it."""

    def __init__(self, fault: RuleFault, element: str = "", detail: str = "") -> None:
        super().__init__(fault)
        self.fault, self.element, self.detail = fault, element, detail


def rules_of(resource: Resource) -> AccessRules:
    """Returns the rules that a Schedule or a HealthcareService states.

    Raises RulesUnread with each extension that cannot be read as a rule or is repeated.
    """
    rules, unread = _read(resource)
    if unread:
        raise RulesUnread(resource["resourceType"], tuple(unread))
    return rules


def understood_rules_of(resource: Resource) -> AccessRules:
    """Returns the rules that can be read, of a resource that has already been accepted."""
    return _read(resource)[0]


def _read(resource: Resource) -> tuple[AccessRules, list[UnreadRule]]:
    found: dict[str, Any] = {}
    unread: list[UnreadRule] = []
    for index, extension in _own(resource):
        field, read = _READERS[extension["url"]]
        try:
            if field in found:
                raise UnreadableError("repeated")
            found[field] = read(extension)
        except UnreadableError as error:
            unread.append(UnreadRule(index, error.fault, error.element, error.detail))
    return AccessRules(**found), unread


def _own(resource: Resource) -> Iterator[tuple[int, Resource]]:
    """The extensions that state rules, each with its index."""
    for index, extension in enumerate(resource.get("extension", ())):
        if extension.get("url") in _READERS:
            yield index, extension


def _duration(extension: Resource) -> timedelta:
    quantity = extension.get("valueDuration", {})
    minutes = _whole(quantity, _MINUTES, "valueDuration")
    if minutes > DAYS_MAX * 1440:
        raise UnreadableError("too-long", "valueDuration.value")
    return timedelta(minutes=minutes)


def _window(extension: Resource) -> BookingWindow:
    parts = {part.get("url"): part for part in extension.get("extension", ())}
    days = parts.get("days", {}).get("valueUnsignedInt")
    if days is None or days > DAYS_MAX:
        raise UnreadableError("days", "extension.where(url='days')")
    opens_at = parts.get("opensAt", {}).get("valueTime")
    if unknown := parts.keys() - {"days", "opensAt"}:
        raise UnreadableError("unknown-part", "extension", min(map(str, unknown)))
    return BookingWindow(int(days), time_of(opens_at) if opens_at else MIDNIGHT)


def _age(extension: Resource) -> AgeLimit:
    ages = extension.get("valueRange", {})
    if "low" not in ages and "high" not in ages:
        raise UnreadableError("no-ages", "valueRange")
    low = _whole(ages["low"], _MONTHS, "valueRange.low") if "low" in ages else 0
    below = None
    if "high" in ages:
        # Both ends of a Range are included: who is 16 is 16 until the day before the 17th birthday.
        below = _whole(ages["high"], _MONTHS, "valueRange.high") + _MONTHS[ages["high"]["code"]]
    if max(low, below or 0) > AGE_YEARS_MAX * 12 + 12:
        raise UnreadableError("too-old", "valueRange")
    if below is not None and below <= low:
        raise UnreadableError("ages-turned", "valueRange")
    return AgeLimit(low, below)


def _most(extension: Resource) -> int:
    most = extension.get("valuePositiveInt")
    if most is None or most > 1000:
        raise UnreadableError("count", "valuePositiveInt")
    return int(most)


def _whole(quantity: Resource, units: dict[str, int], path: str) -> int:
    """A whole, non-negative number of one of the units, in the smallest of them."""
    if quantity.get("code") not in units or quantity.get("system", UCUM) != UCUM:
        raise UnreadableError("unit", f"{path}.code", ", ".join(units))
    value = quantity.get("value")
    if value is None or Decimal(str(value)) % 1 or value < 0 or "comparator" in quantity:
        raise UnreadableError("number", f"{path}.value")
    return int(value) * units[quantity["code"]]


def _yes_or_no(extension: Resource) -> bool:
    said = extension.get("valueBoolean")
    if said is None:
        raise UnreadableError("boolean", "valueBoolean")
    return bool(said)


_READERS: dict[str, tuple[str, Callable[[Resource], Any]]] = {
    MINIMUM_NOTICE: ("minimum_notice", _duration),
    BOOKING_WINDOW: ("window", _window),
    AGE_LIMIT: ("age", _age),
    APPOINTMENTS_MAX: ("appointments_max", _most),
    CHANGE_DEADLINE: ("change_deadline", _duration),
    # The same rules under names that begin as those of all other rules of an agenda do; the names above came first.
    _OWN + "schedule-change-deadline": ("change_deadline", _duration),
    _OWN + "schedule-minimum-notice": ("minimum_notice", _duration),
    CONFIRMATION_REQUIRED: ("confirmation_required", _yes_or_no),
    REFERRAL_REQUIRED: ("referral_required", _yes_or_no),
    KNOWN_PATIENTS_ONLY: ("known_patients_only", _yes_or_no),
}
