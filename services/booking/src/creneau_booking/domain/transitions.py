"""The life of an appointment, as one table: which status follows which, who may do it, its effect on time, its event.

The union of what HL7, Argonaut, IHE, Oracle and ISiK describe; any other step is refused by name. Rules, handlers and the
guide for integrators use this table.

| time | what it means |
|---|---|
| `takes` | slots, people, rooms and devices are taken: all of them, or the whole is refused |
| `keeps` | slots and people stay taken; if time or people change, only the difference is exchanged |
| `gives back` | nothing is taken any more |
| `none` | nothing was taken and nothing is |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from creneau_booking.domain.status import APPOINTMENT_STATUSES, SLOT_STATUS_OF, AppointmentStatus

Time = Literal["takes", "keeps", "gives back", "none"]
EventKind = Literal["held", "booked", "moved", "updated", "cancelled", "hold-expired", "offered"]
Verb = Literal[
    "ask", "wait", "decline", "hold", "book", "confirm", "amend", "renegotiate", "release", "arrive", "check in", "fulfil",
    "miss", "cancel", "correct", "record",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of an appointment's life."""

    verb: Verb
    time: Time
    told: EventKind | None
    """the event of the step; a hold with an end is told as `held`, a change of the time as `moved`; None: no event"""
    by_patient: bool
    """whether a patient may do it; else only the practice"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A step from several statuses to one; None: a new appointment."""

    verb: Verb
    before: tuple[AppointmentStatus | None, ...]
    after: AppointmentStatus
    time: Time
    told: EventKind | None
    by_patient: bool = False


_TAKING = tuple(SLOT_STATUS_OF)
_ROWS = (
    _Row("ask", (None, "waitlist"), "proposed", "none", None, by_patient=True),
    _Row("wait", (None, "proposed"), "waitlist", "none", None, by_patient=True),
    _Row("hold", (None, "proposed", "waitlist"), "pending", "takes", "updated", by_patient=True),
    _Row("book", (None, "proposed", "waitlist"), "booked", "takes", "booked", by_patient=True),
    _Row("confirm", ("pending",), "booked", "keeps", "booked", by_patient=True),
    _Row("release", ("pending",), "proposed", "gives back", "updated", by_patient=True),
    _Row("decline", ("pending",), "waitlist", "gives back", "updated", by_patient=True),
    _Row("renegotiate", ("booked",), "pending", "keeps", "updated"),
    _Row("arrive", ("booked",), "arrived", "keeps", "updated"),
    _Row("check in", ("booked", "arrived"), "checked-in", "keeps", "updated"),
    _Row("fulfil", ("booked", "arrived", "checked-in"), "fulfilled", "keeps", "updated"),
    _Row("miss", ("booked",), "noshow", "keeps", "updated"),
    _Row("record", (None,), "cancelled", "none", None),
    _Row("cancel", ("proposed", "waitlist"), "cancelled", "none", None, by_patient=True),
    _Row(
        "cancel",
        ("pending", "booked"),
        "cancelled",
        "gives back",
        "cancelled",
        by_patient=True,
    ),
    _Row("cancel", ("arrived", "checked-in"), "cancelled", "gives back", "cancelled"),
    _Row("correct", (None, "proposed", "waitlist", "cancelled"), "entered-in-error", "none", None),
    _Row(
        "correct",
        ("pending", "booked", "arrived", "checked-in", "fulfilled", "noshow"),
        "entered-in-error",
        "gives back",
        "cancelled",
    ),
    *(_Row("record", (None,), s, "takes", "updated") for s in _TAKING if s not in ("pending", "booked")),
    *(_Row("amend", (s,), s, "keeps", "updated", by_patient=True) for s in _TAKING),
    *(
        _Row("amend", (s,), s, "none", None, by_patient=True)
        for s in APPOINTMENT_STATUSES
        if s not in _TAKING
    ),
)


def _steps() -> Iterator[tuple[tuple[AppointmentStatus | None, AppointmentStatus], Transition]]:
    for row in _ROWS:
        for before in row.before:
            yield (before, row.after), Transition(row.verb, row.time, row.told, row.by_patient)


TRANSITIONS: Mapping[tuple[AppointmentStatus | None, AppointmentStatus], Transition] = dict(_steps())
"""All steps, by the status before and after."""

BOOKABLE = frozenset(
    status for status in APPOINTMENT_STATUSES if status == "booked" or (status, "booked") in TRANSITIONS
)
"""The statuses from which an appointment can be booked, and `booked` itself."""

MOVABLE: frozenset[AppointmentStatus] = frozenset({"pending", "booked"})
"""The statuses in which an appointment can be moved: its time is taken and the visit has not begun."""


def may_follow(before: AppointmentStatus, after: AppointmentStatus) -> bool:
    """Whether an appointment may go from one status to the other; staying is always allowed."""
    return (before, after) in TRANSITIONS


def told(
    before: AppointmentStatus | None, after: AppointmentStatus, *, moved: bool = False
) -> EventKind | None:
    """The event of a change; None: no event. `moved`: the time of the appointment has changed."""
    kind = TRANSITIONS[before, after].told
    return "moved" if moved and before == after == "booked" else kind
