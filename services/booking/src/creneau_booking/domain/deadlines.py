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
    """The last moments, past or to come; None: never, whatever the time."""

    cancelable: datetime | None = None
    reschedulable: datetime | None = None


NEVER = Deadlines()


def deadlines_of(appointment: Appointment, agendas: Iterable[timedelta]) -> Deadlines:
    """`agendas`: how long before the start each of the agendas that have a deadline lets go.

    What is only held is free to go until it begins, and moves as long as it is held. What concerns several patients is no
    single one's to change.
    """
    start = appointment.start
    if start is None or appointment.status not in MOVABLE or len(set(appointment.patients)) > 1:
        return NEVER
    if appointment.status == "pending":
        return Deadlines(start, appointment.held_until or start)
    last = start - max(agendas, default=timedelta(0))
    return Deadlines(last, last)
