"""Periods in an operation's input: `period`, or `start` and `end`."""

from __future__ import annotations

from datetime import datetime, tzinfo

from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named

STARTS, ENDS = ("start", "from", "_from"), ("end", "to", "_to")
"""The spellings of the two ends"""


def window_of(given: OperationInput, zone: tzinfo = PARIS) -> tuple[datetime | None, datetime | None]:
    """Returns start (inclusive) and end (exclusive). An end given as a day includes that day. Raises BadRequest if a value
    is no date."""
    period = next((value for value in given.all("period") if isinstance(value, dict)), {})
    start = period.get("start") or given.first(*STARTS)
    end = period.get("end") or given.first(*ENDS)
    return _read(start, "start", zone, last=False), _read(end, "end", zone, last=True)


def end_of(said: str, zone: tzinfo) -> datetime:
    """Returns when a period with the end `said` ends: at the instant, or at the end of the day, month or year."""
    low, high = parse_interval(said, zone)
    return low if "T" in said else high


def _read(said: object, name: str, zone: tzinfo, *, last: bool) -> datetime | None:
    if said is None:
        return None
    try:
        return end_of(str(said), zone) if last else parse_interval(str(said), zone)[0]
    except ValueError as error:
        raise BadRequest(
            f"« {name} » n'est pas une date FHIR : {said}.",
            f"“{name}” is not a FHIR date: {said}.",
            code="value",
            expression=parameter_named(name),
        ) from error
