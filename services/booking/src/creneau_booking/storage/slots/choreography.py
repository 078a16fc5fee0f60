"""Clients that follow HL7's choreography write Slots and Appointments themselves, while the server moves them too.
Tells whether a client's version is stale only by the server's own doing."""

from __future__ import annotations

from creneau_booking.domain.answers import all_have_accepted
from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.status import AppointmentStatus
from creneau_booking.storage.mapping.appointment import without_ours
from creneau_booking.storage.mapping.places import of_kind
from creneau_shared.fhir.storage.store import Resource

_BUSY = ("busy", "busy-tentative")
_WAITING: tuple[AppointmentStatus, ...] = ("proposed", "pending")
_SERVERS = ("meta", "status")


def slot_moved_by_itself(
    read: Resource, current: Resource, said: str, sent: Resource | None, *, taken: bool
) -> bool:
    """Whether a slot differs from the version that a client `read` only by what its appointment has made of it.

    `said`: what its agenda says of it; `taken`: whether an appointment has it; `sent`: what the client writes.
    """
    # The server says how many places are left, and that changes with each that is taken.
    read, current = of_kind(read), of_kind(current)
    sent = of_kind(sent) if sent is not None else None
    if sent is not None and _without(sent, "meta") == _without(current, "meta"):
        return True  # it is so already
    if _without(read, *_SERVERS) != _without(current, *_SERVERS):
        return False
    return said == read["status"] or (taken and said == "free" and read["status"] in _BUSY)


def appointment_moved_by_itself(read: Resource, current: Resource) -> bool:
    """Whether an appointment differs from the version that a client `read` only by what answers have made of it: it was
    waiting, and somebody has accepted."""
    if read["status"] not in _WAITING or current["status"] not in ("pending", "booked"):
        return False
    return _unanswered(read) == _unanswered(current)


def onto(sent: Resource, read: Resource, current: Resource) -> Resource:
    """Puts a client's changes of what it `read` over the current resource."""
    kept: Resource = {
        name: current[name]
        for name in ("status", "participant", "extension")
        if name in current and sent.get(name) == read.get(name)
    }
    return {**sent, **kept}


def is_on_its_way(before: Appointment, after: Appointment) -> bool:
    """Whether a client writes `pending` over a booking that answers have already completed."""
    return before.status == "booked" and after.status == "pending" and all_have_accepted(after)


def _unanswered(appointment: Resource) -> Resource:
    people = [_without(p, "status") for p in appointment["participant"]]
    return {**_without(without_ours(appointment), *_SERVERS), "participant": people}


def _without(resource: Resource, *names: str) -> Resource:
    return {name: value for name, value in resource.items() if name not in names}
