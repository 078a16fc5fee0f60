"""The occurrences of a repetition in an iCalendar file (RFC 5545 §3.3.10), with bounded work.

Without COUNT, the time before the window is skipped: the repetition then begins a number of whole periods later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from math import prod
from typing import Any

from dateutil.rrule import rrulestr

from creneau_booking.domain.not_read import TooLargeError

LOOKED_AT_MAX = 1_000_000
"""the most days and moments that are examined for all repetitions of a calendar"""
OLDEST = timedelta(days=366 * 15)
"""a repetition with COUNT is not followed if it began longer ago"""
FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_NAMING_DAYS = {"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYWEEKDAY", "BYEASTER"}
_CHECKED_AT_ONCE = 10
"""this many values of a rule cost as much as examining one day"""


@dataclass(slots=True)
class Budget:
    """The number of days and moments that may still be examined."""

    left: int

    def spend(self, units: int = 1) -> None:
        """Raises TooLargeError if the budget is used up."""
        self.left -= units
        if self.left < 0:
            raise TooLargeError("too many repetitions")


def repeated(
    rule: Any, first: datetime, since: datetime, until: datetime, budget: Budget
) -> Iterator[datetime]:
    """The occurrences by a rule (RECUR) of what began at `first`, in order, until `until`; also those before `since` that
    had to be computed. All in local time, without zone. The caller applies the rule's own UNTIL.

    Raises TooLargeError if it repeats hourly or more often, or the budget is used up.
    """
    if str((rule.get("FREQ") or [""])[0]).upper() not in FREQUENCIES:
        raise TooLargeError("repeats too often")
    # The window bounds every rule: an endless one would never finish.
    parts = [
        part
        for part in rule.to_ical().decode().upper().split(";")
        if not part.startswith(("UNTIL=", "COUNT="))
    ]
    count = rule.get("COUNT")
    if count is None:
        first = _later(parts, rule, first, since)
    elif since - first > OLDEST:
        return
    budget.spend(prod(len(rule.get(unit) or [0]) for unit in ("BYHOUR", "BYMINUTE", "BYSECOND")))
    found: Any = rrulestr(";".join([*parts, f"UNTIL={until:%Y%m%dT%H%M%S}"]), dtstart=first)
    # A rule that never matches (30 February) is searched for these days and two years more; dateutil would search until the
    # year 9999.
    days = max(0, (until - first).days) + 2 * 366
    asked = (days, _price(rule), budget)
    if found._bymonth is None and found._byweekno is None and found._bynweekday:
        # Setting months would mean the first Monday of each month, and not of the year.
        found._byweekday = _Asked(found._byweekday or range(7), *asked)
    else:
        found._bymonth = _Asked(found._bymonth or range(1, 13), *asked)
    with suppress(_NeverError):
        for moment in islice(found, int(count[0]) if count else None):
            budget.spend()
            yield moment


class _Asked(tuple[int, ...]):
    """The months or weekdays of a rule. dateutil tests each examined day against them, so this counts the days."""

    _left: int
    _price: int
    _budget: Budget

    def __new__(cls, values: Any, days: int, price: int, budget: Budget) -> _Asked:
        self = super().__new__(cls, values)
        self._left, self._price, self._budget = days, price, budget
        return self

    def __contains__(self, value: object) -> bool:
        self._left -= 1
        if self._left < 0:
            raise _NeverError
        self._budget.spend(self._price)
        return super().__contains__(value)


class _NeverError(Exception):
    pass


def _price(rule: Any) -> int:
    """The cost of a day: its comparison with all values of the rule, which count fully with BYSETPOS."""
    values = sum(len(said) for said in rule.values() if isinstance(said, list))
    return 1 + (values if "BYSETPOS" in rule else values // _CHECKED_AT_ONCE)


def _later(parts: list[str], rule: Any, first: datetime, since: datetime) -> datetime:
    """The start that may replace `first`: whole periods later, and at least one before `since`. Adds to `parts` the day that
    only `first` states."""
    frequency, interval = str(rule["FREQ"][0]).upper(), int((rule.get("INTERVAL") or [1])[0])
    if interval < 1:
        return first
    if frequency in ("DAILY", "WEEKLY"):
        period = interval * (7 if frequency == "WEEKLY" else 1)
        return first + timedelta(days=period * max(0, (since - first).days // period - 1))
    period = interval * (12 if frequency == "YEARLY" else 1)
    passed = (since.year - first.year) * 12 + since.month - first.month
    periods = passed // period - 1
    if periods <= 0:
        return first
    names = {part.partition("=")[0] for part in parts}
    if names.isdisjoint(_NAMING_DAYS):
        parts.append(f"BYMONTHDAY={first.day}")
        if frequency == "YEARLY" and "BYMONTH" not in names:
            parts.append(f"BYMONTH={first.month}")
    years, month = divmod(first.month - 1 + periods * period, 12)
    return first.replace(year=first.year + years, month=1 if frequency == "YEARLY" else month + 1, day=1)
