"""Reads single values in what an agenda states, or raises UnreadError."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from creneau_booking.domain.openings.refusals import OpeningFault
from creneau_booking.domain.openings.rules import Moment
from creneau_shared.fhir.datatypes import instant_of, parse_interval
from creneau_shared.fhir.storage.store import Resource

LASTS_MAX_S = 86_400
"""longest service, buffer or grid, in seconds"""
DAYS = {name: place for place, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_UNIT_WORDS = {"second": "s", "seconde": "s", "minute": "min", "mn": "min", "hour": "h", "heure": "h"}
DATED = len("2026-11-28")
LAST_SECOND = 59
"""the second by which many programs say that a minute is within"""


class UnreadError(Exception):
    """A value cannot be read; `element` is the path within its extension, `detail` what is possible there."""

    def __init__(self, fault: OpeningFault, element: str = "", detail: str = "") -> None:
        super().__init__(fault)
        self.fault, self.element, self.detail = fault, element, detail


def code(extension: Resource, known: Iterable[str], where: str) -> str:
    """Returns the code of an extension (valueCode, valueCoding or valueString), one of `known`. UnreadError, at the path
    `where`, for any other."""
    code = extension.get("valueCode") or extension.get("valueCoding", {}).get("code")
    if code is None:
        code = extension.get("valueString")
    if code not in known:
        raise UnreadError("code", where, ", ".join(sorted(known)))
    return str(code)


def concept(extension: Resource, where: str) -> Resource:
    """Returns the CodeableConcept of an extension (valueCodeableConcept or valueCoding). UnreadError, at the path `where`,
    without one."""
    concept = extension.get("valueCodeableConcept")
    if isinstance(concept, dict):
        return concept
    if isinstance(coding := extension.get("valueCoding"), dict):
        return {"coding": [coding]}
    raise UnreadError("missing", where, "valueCodeableConcept")


def boolean(extension: Resource) -> bool:
    """Returns the valueBoolean of an extension. UnreadError without one."""
    value = extension.get("valueBoolean")
    if not isinstance(value, bool):
        raise UnreadError("missing", "valueBoolean", "valueBoolean")
    return value


def lasts(quantity: object, element: str, *, least: int = 60) -> timedelta:
    """Reads a Duration (s, min, h or d; minutes without a unit): whole seconds, from `least` to LASTS_MAX_S. UnreadError, at
    the path `element`, for any other."""
    if not isinstance(quantity, dict) or quantity.get("value") is None:
        raise UnreadError("missing", element, "value")
    said = str(quantity.get("code") or quantity.get("unit") or "min")
    unit = _UNITS.get(said) or _UNITS.get(_UNIT_WORDS.get(said.rstrip("s").casefold(), ""))
    seconds = Decimal(str(quantity["value"])) * (unit or 0)
    # The bounds first: what is left of a number of more than 28 digits cannot be computed.
    if unit is None or not least <= seconds <= LASTS_MAX_S or seconds % 1:
        raise UnreadError("duration", element, ", ".join(_UNITS))
    return timedelta(seconds=int(seconds))


def dated(part: Resource | None) -> object:
    """Returns the dateTime, instant or date of a part as it is stated; None without one."""
    return (
        None
        if part is None
        else part.get("valueDateTime") or part.get("valueInstant") or part.get("valueDate")
    )


def moment(part: Resource, name: str) -> Moment:
    """Returns the day, or the moment with its zone, that the part `name` states. UnreadError if it is less exact than a day."""
    said = str(dated(part))
    if len(said) < DATED:
        raise UnreadError("date", f"extension.where(url='{name}')")
    return read_moment(said)


def read_moment(said: str) -> Moment:
    """Returns the day (`2026-11-28`) or the moment (with time and zone) of a valid date, dateTime or instant."""
    return date.fromisoformat(said) if len(said) == DATED else instant_of(said)


def read_day(said: str, *, last: bool) -> Moment:
    """Like `read_moment`; of a year or a month (R4 dateTime) the first day, or the last."""
    if len(said) >= DATED:
        return read_moment(said)
    low, high = parse_interval(said, UTC)
    return (high - timedelta(days=1)).date() if last else low.date()


def through(end: Moment) -> Moment:
    """Returns the end of a period that is stated as the last second of a minute (`23:59:59`): that second is within."""
    if isinstance(end, datetime) and end.second == LAST_SECOND:
        return end.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return end


def through_the_day(end: time) -> time:
    """The same for a time of day; 23:59 too is the end of the day, which no time in FHIR says (0:00: midnight)."""
    if end.second == LAST_SECOND or (end.hour, end.minute) == (23, 59):
        return (
            datetime.combine(date.min, end.replace(second=0, microsecond=0)) + timedelta(minutes=1)
        ).time()
    return end


def order(moment: Moment, *, last: bool = False) -> datetime:
    """Returns a time that is exact enough to compare moments."""
    if isinstance(moment, datetime):
        return moment
    return parse_interval(moment.isoformat(), UTC)[last]
