"""When a repetition of an iCalendar file comes (RFC 5545 §3.3.10), looked for no longer than it is worth.

Where nothing is counted, what lies before the window is passed over: a repetition begins then as many whole periods later.
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
"""days and moments that are looked at for all that repeats in a calendar"""
OLDEST = timedelta(days=366 * 15)
"""a repetition whose occurrences are counted is not followed if it began before"""
FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_NAMING_DAYS = {"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYWEEKDAY", "BYEASTER"}
_CHECKED_AT_ONCE = 10
"""values of a rule that are compared as quickly as a day is looked at"""


@dataclass(slots=True)
class Budget:
    """How many days and moments may still be looked at."""

    left: int

    def spend(self, units: int = 1) -> None:
        """TooLargeError when it is used up."""
        self.left -= units
        if self.left < 0:
            raise TooLargeError("too many repetitions")


def repeated(
    rule: Any, first: datetime, since: datetime, until: datetime, budget: Budget
) -> Iterator[datetime]:
    """When what began at `first` comes again by a rule (RECUR), in order, up to `until`; of what is before `since` as much as
    had to be looked at. All by the clock of the place, without zone. The end that the rule states is the caller's to keep.

    TooLargeError where it comes by the hour or more often, or the budget is used up.
    """
    if str((rule.get("FREQ") or [""])[0]).upper() not in FREQUENCIES:
        raise TooLargeError("repeats too often")
    # The window bounds every rule: one that goes on would be counted for ever.
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
    # One that never holds (each 30 February) is looked for so long, and the rest of two years: dateutil itself does it until
    # the year 9999.
    days = max(0, (until - first).days) + 2 * 366
    asked = (days, _price(rule), budget)
    if found._bymonth is None and found._byweekno is None and found._bynweekday:
        # With months it would be the first Monday of each of them, and not of the year.
        found._byweekday = _Asked(found._byweekday or range(7), *asked)
    else:
        found._bymonth = _Asked(found._bymonth or range(1, 13), *asked)
    with suppress(_NeverError):
        for moment in islice(found, int(count[0]) if count else None):
            budget.spend()
            yield moment


class _Asked(tuple[int, ...]):
    """The months of a rule, or its days of the week, of which each day that is looked at is asked: so the days are counted."""

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
    """What a day costs: it is compared with all values of a rule, and looked up once for each place in a set of days."""
    values = sum(len(said) for said in rule.values() if isinstance(said, list))
    return 1 + (values if "BYSETPOS" in rule else values // _CHECKED_AT_ONCE)


def _later(parts: list[str], rule: Any, first: datetime, since: datetime) -> datetime:
    """When the rule may begin instead of `first`, whole periods later and one before `since`. Which day it means is added to
    its `parts`, where only `first` says it."""
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
