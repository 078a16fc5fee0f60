"""The statuses of appointments and slots, and which appointment status gives which slot status (steps: `transitions`)."""

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
"""Appointment status → the status of its slots. An appointment of any other status takes no slots."""

ENDED: frozenset[AppointmentStatus] = frozenset({"fulfilled", "cancelled", "noshow", "entered-in-error"})
"""The statuses of an appointment that is over."""


def claims(status: AppointmentStatus) -> bool:
    """Whether an appointment of this status takes its slots and its people."""
    return status in SLOT_STATUS_OF
