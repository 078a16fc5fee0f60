"""Whether somebody has another appointment near the one that they are about to take. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from creneau_web.care.model import Professional
from creneau_web.visits.model import Visit


def close_visit(
    visits: Iterable[Visit], start: datetime, professional: Professional, within: timedelta
) -> Visit | None:
    """The nearest of the booked visits that is for one of the professional's specialities, or with themselves, and begins
    no longer than `within` before or after `start`."""
    near = [
        visit
        for visit in visits
        if visit.status == "booked" and abs(visit.start - start) <= within and _same_care(visit, professional)
    ]
    return min(near, key=lambda visit: abs(visit.start - start), default=None)


def _same_care(visit: Visit, professional: Professional) -> bool:
    if visit.professional is None:
        return False
    same = visit.professional.practitioner == professional.practitioner is not None
    return same or not set(visit.professional.specialties).isdisjoint(professional.specialties)
