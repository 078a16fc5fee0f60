"""The statuses of an appointment and of a slot, and what the one makes of the other (`transitions`: how they follow)."""

from __future__ import annotations

from typing import Literal, get_args

AppointmentStatus = Literal[
    "proposed",
    "pending",
    "booked",
    "arrived",
    "fulfilled",
    "cancelled",
    "noshow",
    "entered-in-error",
    "checked-in",
    "waitlist",
]
SlotStatus = Literal["free", "busy", "busy-unavailable", "busy-tentative", "entered-in-error"]

APPOINTMENT_STATUSES: tuple[AppointmentStatus, ...] = get_args(AppointmentStatus)

SLOT_STATUS_OF: dict[AppointmentStatus, SlotStatus] = {
    "pending": "busy-tentative",
    "booked": "busy",
    "arrived": "busy",
    "checked-in": "busy",
    "fulfilled": "busy",
    "noshow": "busy",
}
"""What an appointment makes of its slots while it has this status. A status that is not here claims nothing."""

ENDED: frozenset[AppointmentStatus] = frozenset({"fulfilled", "cancelled", "noshow", "entered-in-error"})
"""An appointment of this status is over: what is said of it is what was."""


def claims(status: AppointmentStatus) -> bool:
    """Whether an appointment of this status takes its slots and its people."""
    return status in SLOT_STATUS_OF
