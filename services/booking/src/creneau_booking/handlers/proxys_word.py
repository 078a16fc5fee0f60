"""What a representative may say of an appointment: as much as they were given, and nothing of what is hidden from them.

Who may see it at all is in its terms, which SQL asks (`appointment_terms`); this is about what is written.
"""

from __future__ import annotations

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.proxies import HiddenLate, HidingNotTheirs, MayOnlyCancel
from creneau_booking.storage.appointment_mapper import labelled
from creneau_shared.fhir.storage.store import Resource, WriteContext

CANCELLATION = ("status", "cancelationReason")
"""what a cancellation changes"""


def require_may_hide(context: WriteContext, wanted: Appointment) -> None:
    """HidingNotTheirs when somebody hides an appointment from a person's representatives who is not the person; a practice
    does it as the person asks."""
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
    """The next version as the caller may say it. `moving`: by `$reschedule`.

    Hidden stays hidden, whoever writes and whatever is left out; what was to be seen is not hidden afterwards, by a
    practice neither, for its versions, its answers and its time tell of it: HiddenLate. Whoever may only cancel (and move,
    by a link) changes nothing else: MayOnlyCancel.
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
        # Whoever has come by the link of the message answers it: nothing else is said.
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
    """Without what the server writes."""
    return {name: value for name, value in resource.items() if name not in ("meta", "id")}
