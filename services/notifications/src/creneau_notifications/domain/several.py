"""Messages on several visits of a series, as these are at sending: one may have been moved or cancelled meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from creneau_notifications.domain.appointment import AppointmentEvent, Occurrence
from creneau_notifications.domain.plan import Kind


def as_they_are(
    event: AppointmentEvent, kind: Kind, known: Mapping[str, AppointmentEvent]
) -> AppointmentEvent | None:
    """The event, reduced to the visits of its series that are still as it says; None if none is. Other visits' changes are
    told by their own events. `known`: the last events of these visits."""
    left = tuple(o for o in event.together if _is_as_told(o, event, kind, known.get(o.appointment)))
    if not left or left == event.together:
        return event if left else None
    first = left[0]
    is_own = first.appointment == event.appointment.id
    about = replace(
        event.appointment,
        id=first.appointment,
        start=first.start,
        end=first.end,
        sequence=first.sequence,
    )
    return replace(
        event,
        appointment=about,
        together=left if len(left) > 1 else (),
        previous_start=event.previous_start if is_own else None,
    )


def _is_as_told(one: Occurrence, event: AppointmentEvent, kind: Kind, known: AppointmentEvent | None) -> bool:
    """Whether the visit is still as told, as far as known (SEQUENCE is the version less one). False if hidden."""
    if known is None:
        return True
    now = known.appointment
    if now.version <= one.sequence + 1:
        return not now.hidden
    of_series = known.told_elsewhere or bool(known.together)
    stands = (now.status == "booked") == (kind is not Kind.CANCELLATION)
    same = (now.start, now.end) == (one.start, one.end) and now.stays_with(event.appointment)
    return of_series and stands and same and not now.hidden
