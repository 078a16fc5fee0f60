"""Which one of a series an appointment is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from creneau_booking.domain.appointment import Appointment, Occurrence


@dataclass(frozen=True, slots=True)
class InSeries:
    """Which one of a series a new appointment is, and the ids of those that were taken before it: they are held, and to
    come, as one with it."""

    occurrence: Occurrence | None = None
    fellows: tuple[str, ...] = ()

    def of(self, wanted: Appointment) -> Appointment:
        if self.occurrence is None:
            return wanted
        return replace(wanted, occurrence=self.occurrence, fellows=self.fellows)


ALONE = InSeries()
