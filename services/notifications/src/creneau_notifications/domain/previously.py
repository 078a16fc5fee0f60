"""Which start a change or a cancellation is told from: the one that the patients were told last, which is not always the one
before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from creneau_notifications.domain.appointment import AppointmentEvent, Change
from creneau_notifications.domain.plan import Kind

TELLING_A_START = frozenset({Kind.CONFIRMATION, Kind.CHANGE})
"""news by which a start becomes known"""


def may_differ(event: AppointmentEvent, known: AppointmentEvent | None) -> bool:
    """Whether what waits has to be looked at to know from which start the event is told."""
    if known is None or event.change not in (Change.MOVED, Change.UPDATED, Change.CANCELLED):
        return False
    return event.previous_start is not None or known.previous_start is not None


def from_what_they_know(
    event: AppointmentEvent, known: AppointmentEvent | None, waiting: Mapping[str, Kind]
) -> AppointmentEvent:
    """The event with the start that its patients were told last as the previous one; with none, where they were told of no
    visit yet. Of several patients it is told as to those who have heard of `known`, if any has. `waiting`: by patient, which
    news of it has not left."""
    patients = event.appointment.patients
    if known is None or not patients or not waiting.keys() >= set(patients):
        return event
    if any(waiting[patient] is Kind.CONFIRMATION for patient in patients):
        return replace(event, previous_start=None)
    is_of_start = known.change is Change.MOVED or known.previous_start is not None
    return replace(event, previous_start=known.previous_start) if is_of_start else event
