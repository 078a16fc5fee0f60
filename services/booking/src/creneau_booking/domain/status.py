"""The life of an appointment and of a slot: which status may follow which (published state machine).

The union of what HL7, Argonaut, IHE, Oracle and ISiK describe; anything else is refused by name.
"""

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

TRANSITIONS: dict[AppointmentStatus, frozenset[AppointmentStatus]] = {
    "proposed": frozenset({"pending", "booked", "waitlist", "cancelled", "entered-in-error"}),
    "waitlist": frozenset({"proposed", "pending", "booked", "cancelled", "entered-in-error"}),
    "pending": frozenset({"booked", "proposed", "cancelled", "entered-in-error"}),
    "booked": frozenset(
        {"arrived", "checked-in", "fulfilled", "noshow", "pending", "cancelled", "entered-in-error"}
    ),
    "arrived": frozenset({"checked-in", "fulfilled", "cancelled", "entered-in-error"}),
    "checked-in": frozenset({"fulfilled", "cancelled", "entered-in-error"}),
    "fulfilled": frozenset({"entered-in-error"}),
    "cancelled": frozenset({"entered-in-error"}),
    "noshow": frozenset({"entered-in-error"}),
    "entered-in-error": frozenset(),
}

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

PATIENT_MAY_SET: frozenset[AppointmentStatus] = frozenset(
    {"proposed", "pending", "booked", "cancelled", "waitlist"}
)
"""The rest is the practice's to say: who arrived, who did not."""


def may_follow(before: AppointmentStatus, after: AppointmentStatus) -> bool:
    """Whether an appointment may go from one status to the other; staying is always allowed."""
    return before == after or after in TRANSITIONS[before]


def claims(status: AppointmentStatus) -> bool:
    """Whether an appointment of this status takes its slots and its people."""
    return status in SLOT_STATUS_OF
