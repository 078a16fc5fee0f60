"""Until when a patient may cancel or move an appointment: the rules of changing it (`changes`, `access_rules`), as
instants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.transitions import MOVABLE


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The last moments, past or future; None: never possible."""

    cancelable: datetime | None = None
    reschedulable: datetime | None = None


NEVER = Deadlines()


def deadlines_of(appointment: Appointment, agendas: Iterable[timedelta]) -> Deadlines:
    """`agendas`: the change deadlines of the appointment's agendas, as time before the start.

    A pending appointment can be cancelled until it begins, and moved as long as it is held. No single patient can change
    an appointment of several patients.
    """
    start = appointment.start
    if start is None or appointment.status not in MOVABLE or len(set(appointment.patients)) > 1:
        return NEVER
    if appointment.status == "pending":
        return Deadlines(start, appointment.held_until or start)
    last = start - max(agendas, default=timedelta(0))
    return Deadlines(last, last)
