"""The practice's rules as FHIR says them: extensions of Schedule and HealthcareService → `AccessRules`.

R4 has no element for them; `HealthcareService.eligibility` holds no more than a code and a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

from creneau_booking.domain.access_rules import MIDNIGHT, AccessRules, AgeLimit, BookingWindow
from creneau_shared.errors import Issue, Unprocessable
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
UCUM = "http://unitsofmeasure.org"
_MINUTES = {"min": 1, "h": 60, "d": 1440}
_MONTHS = {"mo": 1, "a": 12}
DAYS_MAX = 3660
"""the longest notice or window that makes sense, days: ten years"""
AGE_MAX = 150
"""years"""


class BadRuleError(Exception):
    """An extension that cannot be read as a rule; `path` is relative to the extension."""

    def __init__(self, path: str, fr: str, en: str) -> None:
        super().__init__(en)
        self.path, self.fr, self.en = path, fr, en


def rules_of(resource: Resource) -> AccessRules:
    """The rules that a Schedule or a HealthcareService states.

    Unprocessable, with an issue for each extension that cannot be read as a rule, and for each that is repeated.
    """
    rules, issues = _read(resource)
    if issues:
        raise Unprocessable(issues=issues)
    return rules


def understood_rules_of(resource: Resource) -> AccessRules:
    """The rules that can be read, of a resource that others have accepted."""
    return _read(resource)[0]


def _read(resource: Resource) -> tuple[AccessRules, list[Issue]]:
    found: dict[str, Any] = {}
    issues: list[Issue] = []
    for path, extension in _own(resource):
        field, read = _READERS[extension["url"]]
        try:
            if field in found:
                raise BadRuleError("", "Cette règle est donnée deux fois.", "This rule is given twice.")
            found[field] = read(extension)
        except BadRuleError as error:
            where = f"{path}.{error.path}" if error.path else path
            issues.append(Issue("invalid", error.fr, error.en, (where,), details_code="access-rule"))
    return AccessRules(**found), issues


def _own(resource: Resource) -> Iterator[tuple[str, Resource]]:
    """The extensions that state rules, each with its FHIRPath."""
    for index, extension in enumerate(resource.get("extension", ())):
        if extension.get("url") in _READERS:
            yield f"{resource['resourceType']}.extension[{index}]", extension


def _duration(extension: Resource) -> timedelta:
    quantity = extension.get("valueDuration", {})
    minutes = _whole(quantity, _MINUTES, "valueDuration")
    if minutes > DAYS_MAX * 1440:
        raise BadRuleError("valueDuration.value", f"Au plus {DAYS_MAX} jours.", f"At most {DAYS_MAX} days.")
    return timedelta(minutes=minutes)


def _window(extension: Resource) -> BookingWindow:
    parts = {part.get("url"): part for part in extension.get("extension", ())}
    days = parts.get("days", {}).get("valueUnsignedInt")
    if days is None or days > DAYS_MAX:
        raise BadRuleError(
            "extension.where(url='days')",
            f"Une fenêtre de réservation a besoin de « days » (valueUnsignedInt), au plus {DAYS_MAX}.",
            f"A booking window needs “days” (valueUnsignedInt), at most {DAYS_MAX}.",
        )
    opens_at = parts.get("opensAt", {}).get("valueTime")
    if unknown := parts.keys() - {"days", "opensAt"}:
        name = min(map(str, unknown))
        raise BadRuleError("extension", f"« {name} » n'existe pas ici.", f"There is no “{name}” here.")
    return BookingWindow(int(days), time.fromisoformat(opens_at) if opens_at else MIDNIGHT)


def _age(extension: Resource) -> AgeLimit:
    ages = extension.get("valueRange", {})
    if "low" not in ages and "high" not in ages:
        raise BadRuleError("valueRange", "Donnez low, high, ou les deux.", "Give low, high, or both of them.")
    low = _whole(ages["low"], _MONTHS, "valueRange.low") if "low" in ages else 0
    below = None
    if "high" in ages:
        # Both ends of a Range are included: who is 16 is 16 until the day before the 17th birthday.
        below = _whole(ages["high"], _MONTHS, "valueRange.high") + _MONTHS[ages["high"]["code"]]
    if max(low, below or 0) > AGE_MAX * 12 + 12:
        raise BadRuleError("valueRange", f"Au plus {AGE_MAX} ans.", f"At most {AGE_MAX} years.")
    if below is not None and below <= low:
        raise BadRuleError("valueRange", "high est inférieur à low.", "high is below low.")
    return AgeLimit(low, below)


def _most(extension: Resource) -> int:
    most = extension.get("valuePositiveInt")
    if most is None or most > 1000:
        raise BadRuleError(
            "valuePositiveInt", "Donnez un nombre, de 1 à 1 000.", "Give a number, from 1 to 1,000."
        )
    return int(most)


def _whole(quantity: Resource, units: dict[str, int], path: str) -> int:
    """A whole, non-negative number of one of the units, in the smallest of them."""
    names = ", ".join(units)
    if quantity.get("code") not in units or quantity.get("system", UCUM) != UCUM:
        raise BadRuleError(
            f"{path}.code", f"L'unité (UCUM) est l'une de : {names}.", f"The unit (UCUM) is one of: {names}."
        )
    value = quantity.get("value")
    if value is None or Decimal(str(value)) % 1 or value < 0 or "comparator" in quantity:
        raise BadRuleError(
            f"{path}.value",
            "La valeur est un nombre entier, zéro ou plus.",
            "The value is a whole number, 0 or more.",
        )
    return int(value) * units[quantity["code"]]


_READERS: dict[str, tuple[str, Callable[[Resource], Any]]] = {
    MINIMUM_NOTICE: ("minimum_notice", _duration),
    BOOKING_WINDOW: ("window", _window),
    AGE_LIMIT: ("age", _age),
    APPOINTMENTS_MAX: ("appointments_max", _most),
    CHANGE_DEADLINE: ("change_deadline", _duration),
}
