"""How a change of an appointment is meant, beyond what its next version says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """Of one change. By default what anybody may do by a plain update."""

    move: bool = False
    """`$reschedule`: the one way for a patient to change when, and the agenda's people follow. Software may move by a plain
    update, and then says itself who takes part"""
    book: bool = False
    """`$book`: everyone whom a booked appointment takes has accepted"""
    with_series: bool = False
    """all of its series change alike"""
    replaces: str | None = None
    """the id of the one that was cancelled for it"""
    replaced_by: str | None = None
    """the id of the one for which it is cancelled"""
    note: str | None = None
    """what whoever cancels says to the other side"""
    by: Actor | None = None
    """whose act it is, when not the caller's"""
    answered: Appointment | None = None
    """the facts to which an answer has led (`handlers.answers`)"""
    asks_until: datetime | None = None
    """until when its practice is asked"""


PLAINLY = Manner()
