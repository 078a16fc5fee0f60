"""What a representative may write in an appointment: within their scopes, and nothing that is hidden from them.

Its terms decide who may see an appointment, in SQL (`appointment_terms`); this module is about writing.
"""

from __future__ import annotations

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.proxies import HiddenLate, HidingNotTheirs, MayOnlyCancel
from creneau_booking.storage.mapping.appointment import labelled
from creneau_shared.fhir.storage.store import Resource, WriteContext

CANCELLATION = ("status", "cancelationReason")
"""the elements that a cancellation changes"""


def require_may_hide(context: WriteContext, wanted: Appointment) -> None:
    """Raises HidingNotTheirs if a representative hides an appointment. The person may, or a practice if the person asks."""
    if wanted.hidden and any(context.represents(id_) for id_ in _ids(wanted)):
        raise HidingNotTheirs()


def heard(
    context: WriteContext,
    stored: Resource,
    before: Appointment,
    said: Resource,
    after: Appointment,
    *,
    moving: bool = False,
) -> Resource:
    """Returns the next version as it may be stored. `moving`: by `$reschedule`.

    A hidden appointment stays hidden, whoever writes it. Nobody, not even a practice, hides a visible one later, because
    its versions, answers and time have been visible: HiddenLate. A caller who may only cancel (or move, by a link) changes
    nothing else: MayOnlyCancel.
    """
    if before.hidden and not after.hidden:
        said = labelled(said)
    if after.hidden and not before.hidden:
        if context.people is not None and any(context.represents(id_) for id_ in _ids(before)):
            raise HidingNotTheirs()
        raise HiddenLate()
    allowed = ("book", "move") if moving else ("book",)
    if context.people is None or any(context.may(what, id_) for what in allowed for id_ in _ids(before)):
        return said
    if before.is_offer and said.get("status") in ("booked", "waitlist"):
        # The holder of a message's link only answers the offer: the rest of the resource stays as stored.
        needed = "move" if said["status"] == "booked" else "cancel"
        if any(context.may(needed, id_) for id_ in _ids(before)):
            return {**stored, "status": said["status"]}
    cancelled = {**stored, **{name: said[name] for name in CANCELLATION if name in said}}
    if said.get("status") != "cancelled" or _bare(said) != _bare(cancelled):
        raise MayOnlyCancel()
    return cancelled


def _ids(appointment: Appointment) -> list[str]:
    return [reference.removeprefix("Patient/") for reference in appointment.patients]


def _bare(resource: Resource) -> Resource:
    """The resource without the elements that the server writes."""
    return {name: value for name, value in resource.items() if name not in ("meta", "id")}
