"""How a change of an appointment is made, beyond the content of its next version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import Actor
from creneau_booking.handlers.in_series import ALONE, InSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """The manner of one change. The default is a plain update."""

    move: bool = False
    """`$reschedule`: the only way for a patient to change the time; the agenda's people follow. Software may also move by a
    plain update, and then states the participants itself"""
    book: bool = False
    """`$book`: everyone in the booked appointment has accepted"""
    with_series: bool = False
    """all appointments of its series change in the same way"""
    by_itself: bool = False
    """it leaves the others of its held series when it is booked (scope `this`)"""
    place: InSeries = ALONE
    """its place in the series that begins with the change"""
    replaces: str | None = None
    """the id of the appointment that was cancelled for it"""
    replaced_by: str | None = None
    """the id of the appointment for which it is cancelled"""
    note: str | None = None
    """the canceller's note to the other side"""
    by: Actor | None = None
    """who makes the change, if not the caller"""
    answered: Appointment | None = None
    """the facts after an answer (`handlers.answers`)"""
    asks_until: datetime | None = None
    """until when the practice may answer"""


PLAINLY = Manner()
