"""Agendas whose practice agrees to each booking: what a patient books there waits for the answer, until a deadline.

The practice books at once, and its word ends the waiting; a patient's never does. What nobody answers in time is given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from creneau_booking.domain.appointment import Appointment, SlotFact
from creneau_booking.domain.refusals.changes import AnsweredTooLate


def deadline(now: datetime, start: datetime | None, patience: timedelta) -> datetime:
    """Until when the practice may answer: not beyond the beginning of the visit."""
    return now + patience if start is None else min(now + patience, max(start, now))


def as_its_practice_has_it(
    wanted: Appointment, slots: Sequence[SlotFact], *, by_patient: bool, now: datetime, patience: timedelta
) -> Appointment:
    """What `wanted`, which takes these slots, is to be: booked by a patient where the practice confirms, it is asked for;
    what was asked for and moves is asked for anew, or booked where nobody confirms."""
    if not by_patient:
        return wanted
    waits = wanted.confirmation == "asked"
    if not any(slot.confirmed_by_practice for slot in slots):
        return wanted.booked() if waits else replace(wanted, confirmation=None)
    if wanted.status == "booked" or waits:
        start = wanted.start or min(slot.start for slot in slots)
        return wanted.asked(deadline(now, start, patience))
    return replace(wanted, confirmation="later")


def require_in_time(until: datetime, now: datetime) -> None:
    """AnsweredTooLate once the deadline has passed: whether or not anybody has noticed, the time is free."""
    if now >= until:
        raise AnsweredTooLate(until)
