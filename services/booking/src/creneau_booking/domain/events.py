"""What can happen to an appointment, as the domain tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.status import claims

EventKind = Literal["held", "booked", "moved", "updated", "cancelled", "hold-expired"]
Actor = Literal["patient", "provider", "system"]


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    """One thing that happened to `appointment`, which is its state afterwards."""

    kind: EventKind
    appointment: Appointment
    schedules: tuple[str, ...] = ()
    previous: tuple[datetime, datetime] | None = None
    by: Actor = "system"
    held_until: datetime | None = None
    owners: frozenset[str] = frozenset()
    """ids of the organisations whose appointment it is"""


def event_kind(
    before: Appointment | None, after: Appointment, *, held: bool = False, moved: bool = False
) -> EventKind | None:
    """Which event a change is; None when it concerns nobody else, for nothing was taken before or is now.

    `held`: the change keeps slots until a stated time; `moved`: when it takes place has changed.
    """
    was_taken = before is not None and claims(before.status)
    if not claims(after.status):
        if not was_taken:
            return None
        return "cancelled" if after.status in ("cancelled", "entered-in-error") else "updated"
    if held:
        return "held"
    if after.status != "booked":
        return "updated"
    if before is None or before.status != "booked":
        return "booked"
    return "moved" if moved else "updated"
