"""The place of a new appointment in its series."""

from __future__ import annotations

from dataclasses import dataclass, replace

from creneau_booking.domain.appointment import Appointment, Occurrence


@dataclass(frozen=True, slots=True)
class InSeries:
    """The place of a new appointment in its series, and the ids of those taken before it: for the limits on holds and on
    appointments to come, they count as one with it."""

    occurrence: Occurrence | None = None
    fellows: tuple[str, ...] = ()

    def of(self, wanted: Appointment) -> Appointment:
        if self.occurrence is None:
            return wanted
        return replace(wanted, occurrence=self.occurrence, fellows=self.fellows)


ALONE = InSeries()
