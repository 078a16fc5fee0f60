"""Agendas whose practice agrees to each booking: a patient's booking there waits for the answer, until a deadline.

The practice itself books at once. Its answer ends the waiting; a patient's never does. Without answer in time, the booking
is given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from creneau_booking.domain.appointment import Appointment, SlotFact
from creneau_booking.domain.refusals.changes import AnsweredTooLate


def deadline(now: datetime, start: datetime | None, patience: timedelta) -> datetime:
    """Until when the practice may answer: at the latest when the visit begins."""
    return now + patience if start is None else min(now + patience, max(start, now))


def as_its_practice_has_it(
    wanted: Appointment, slots: Sequence[SlotFact], *, by_patient: bool, now: datetime, patience: timedelta
) -> Appointment:
    """Returns `wanted`, which takes these slots, as the practice's confirmation requires. A patient's booking is asked for
    where the practice confirms. One that waited and moves is asked for again, or booked where nobody confirms."""
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
    """Raises AnsweredTooLate once the deadline has passed: the time is free then, even if no job has released it yet."""
    if now >= until:
        raise AnsweredTooLate(until)
