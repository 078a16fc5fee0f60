"""What can happen to an appointment, as the domain tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_booking.domain.appointment import Appointment

EventKind = Literal["held", "booked", "moved", "updated", "cancelled", "hold-expired"]


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    """One thing that happened to `appointment`, which is its state afterwards."""

    kind: EventKind
    appointment: Appointment
    schedules: tuple[str, ...] = ()
    previous: tuple[datetime, datetime] | None = None
    by: str | None = None
    held_until: datetime | None = None


def event_kind(
    before: Appointment | None, after: Appointment, *, held: bool, moved: bool
) -> EventKind | None:
    """Which event a change is; None when it concerns nobody else (a request that was only proposed)."""
    if before is not None and before.status == after.status and not moved:
        return "updated"
    match after.status:
        case "booked":
            return "moved" if moved and before is not None and before.status == "booked" else "booked"
        case "pending":
            return "held" if held else "updated"
        case "cancelled" | "entered-in-error":
            return (
                "cancelled" if before is not None and before.status not in ("proposed", "waitlist") else None
            )
        case "proposed" | "waitlist":
            return None
        case _:
            return "updated"
