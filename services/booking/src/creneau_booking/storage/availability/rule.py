"""The rule, as SQL: which slots somebody could book at this moment.

The conditions stand on the slot's row and on its agenda's, which `agenda_of` joins. They say what `domain.rules` and
`domain.access_rules` say: `domain` judges one booking and says why not, these filter a search.

| who | what they could book |
|---|---|
| anybody | what is `free` in an open agenda that is up to date, within its horizon: `is_free` |
| a consumer (patient, counsellor, the public) | of that, what has not begun, within its rules: `storage.finding.candidates` |

Open time, of which patients take parts, is free to them while they may take one of these.
"""

from __future__ import annotations

from datetime import timedelta

from creneau_booking.domain.rules import OPEN_TIME_MAX, PART_MIN, VISIT_MAX
from creneau_booking.storage.availability.freshness import is_fresh

COULD_BE_BOOKED = frozenset({"true", "whole"})
"""Values of the search parameter `bookable` for slots that could be booked: `true`, if only a part of open time; `whole`, as
they stand, from their start to their end."""


def minutes(length: timedelta) -> int:
    """A length of the rules in whole minutes, as SQL says it."""
    return length // timedelta(minutes=1)


JUDGED = """CASE WHEN {slot}.said = 'free' AND EXISTS (
    SELECT FROM agenda_actor AS whose JOIN occupancy ON occupancy.actor = whose.actor
      AND occupancy.period && tstzrange({slot}.start, {slot}."end")
    WHERE whose.schedule_key = {slot}.schedule_key AND occupancy.appointment_id <> {besides})
  THEN 'busy-unavailable'::slot_status ELSE {slot}.said END"""
"""Status of a slot that nobody has: what its agenda says, unless an appointment other than `besides` takes its people."""

UNDER_CLOSURES = """CASE WHEN {said} = 'free' AND EXISTS (
    SELECT FROM agenda_closure WHERE agenda_closure.schedule_key = {schedule_key} AND period && tstzrange({start}, {until}))
  THEN 'busy-unavailable'::slot_status ELSE {said} END"""
"""What an agenda says of a slot, or `busy-unavailable` where its practice has closed the time (`Schedule/$close`): writers
of slots know nothing of that."""
KEEP_CLOSED = """
  INSERT INTO agenda_closed_slot (schedule_key, start, id) SELECT schedule_key, start, id FROM {slots} WHERE said <> asked
  ON CONFLICT DO NOTHING
"""
"""Remembers the slots (a FROM item with the status `asked` for them, and `said`, the status kept) that are free again once
the closure is taken back."""

# IS NOT TRUE rather than the opposite: PostgreSQL takes a comparison of two columns for rare, and this nearly always holds.
_FREE = (
    "(({nobody_has_it}) AND {a}_agenda.open AND ({a}.start < {a}_agenda.horizon_start) IS NOT TRUE"
    ' AND ({a}."end" > {a}_agenda.horizon_end) IS NOT TRUE AND {fresh})'
)
_IN_TIME = """({now} < {begins}
  AND ({now} <= {begins} - make_interval(mins => {r}.minimum_notice_min)) IS NOT FALSE)"""
# Most agendas have no window: their slots need no look at what day it is in their zone.
_WINDOW = """({r}.window_days IS NULL OR ({now} >= ((({a}.start AT TIME ZONE {r}.zone)::date - {r}.window_days) + {r}.opens_at)
    AT TIME ZONE {r}.zone) IS NOT FALSE)"""
# What a group has is taken whole (`domain.rules.is_usable_part`).
_IS_OPEN_TIME = f"""coalesce({{r}}.parts, {{a}}."end" - {{a}}.start >= interval '{minutes(VISIT_MAX)} minutes')
  AND {{a}}.places IS NULL
  AND NOT EXISTS (SELECT FROM slot_kind AS shared WHERE shared.key = {{a}}.kind_key AND shared.capacity > 1)"""
_LAST_PART = f"""date_bin('{minutes(PART_MIN)} minutes', {{a}}."end" - interval '{minutes(PART_MIN)} minutes', {{a}}.start)"""
# The bound on its start is for the index and the months of slots.
_REACHED = f"{{a}}.start > {{now}} - interval '{minutes(OPEN_TIME_MAX)} minutes'"
_FITS = """({r}.age_from_months IS NULL OR (
  {first}::date + make_interval(months => {r}.age_from_months) <= ({a}.start AT TIME ZONE {r}.zone)::date
  AND ({r}.age_below_months IS NULL
    OR ({a}.start AT TIME ZONE {r}.zone)::date < {last}::date + make_interval(months => {r}.age_below_months))
))"""


def agenda_of(alias: str) -> str:
    """FROM item: the agenda of the slot `alias`, as `<alias>_agenda`."""
    return f"JOIN agenda AS {alias}_agenda ON {alias}_agenda.schedule_key = {alias}.schedule_key"


def is_free(alias: str, now: str, nobody_has_it: str | None = None) -> str:
    """Condition: nobody has the slot, everyone whom it takes is free, and its agenda is open at that time, and up to date
    at `now` (SQL)."""
    fresh = is_fresh(f"{alias}_agenda", now)
    return _FREE.format(a=alias, nobody_has_it=nobody_has_it or f"{alias}.status = 'free'", fresh=fresh)


def is_open(alias: str, now: str, *, whole: bool = False) -> str:
    """Condition: at `now` (SQL) the slot is within its agenda's booking window, and has not begun and is within the minimum
    notice. Of open time that has begun, or begins too soon, a part to come is enough, unless it is to be had `whole`."""
    names = {"a": alias, "r": f"{alias}_agenda", "now": now}
    in_time = _IN_TIME.format(**names, begins=f"{alias}.start")
    if not whole:
        later = _IN_TIME.format(**names, begins=_LAST_PART.format(**names))
        reached, is_open_time = _REACHED.format(**names), _IS_OPEN_TIME.format(**names)
        in_time = f"{reached} AND ({in_time} OR ({is_open_time} AND {later}))"
    return f"({in_time} AND {_WINDOW.format(**names)})"


def takes_age(alias: str, first: str, last: str) -> str:
    """Condition: the agenda takes a person born between these days (SQL, both included) on the day of the slot."""
    return _FITS.format(a=alias, r=f"{alias}_agenda", first=first, last=last)
