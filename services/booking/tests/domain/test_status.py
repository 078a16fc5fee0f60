"""The state machine, every pair of it, against a second statement of it written out by hand."""

from __future__ import annotations

from itertools import product

import pytest
from services.booking.tests.telling import in_words

from creneau_booking.domain.changes import require_allowed_status, require_transition
from creneau_booking.domain.status import APPOINTMENT_STATUSES, AppointmentStatus, claims
from creneau_booking.domain.transitions import BOOKABLE, MOVABLE, TRANSITIONS, may_follow
from creneau_shared.errors import Forbidden, Unprocessable

# One column for each status that may follow, in the order of the header; the rows are what it was.
TABLE = """
                  proposed pending booked arrived fulfilled cancelled noshow entered-in-error checked-in waitlist
proposed          x        x       x      .       .         x         .      x                .          x
pending           x        x       x      .       .         x         .      x                .          x
booked            .        x       x      x       x         x         x      x                x          .
arrived           .        .       .      x       x         x         .      x                x          .
fulfilled         .        .       .      .       x         .         .      x                .          .
cancelled         .        .       .      .       .         x         .      x                .          .
noshow            .        .       .      .       .         .         x      x                .          .
entered-in-error  .        .       .      .       .         .         .      x                .          .
checked-in        .        .       .      .       x         x         .      x                x          .
waitlist          x        x       x      .       .         x         .      x                .          x
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
ALLOWED = {
    (row[0], after) for row in ROWS for after, mark in zip(HEADER, row[1:], strict=True) if mark == "x"
}
PAIRS = list(product(APPOINTMENT_STATUSES, repeat=2))


def test_the_table_speaks_of_every_status() -> None:
    assert set(HEADER) == {row[0] for row in ROWS} == set(APPOINTMENT_STATUSES)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_transition(before: AppointmentStatus, after: AppointmentStatus) -> None:
    """Allowed moves pass for the practice; the others are refused with both ends named."""
    assert may_follow(before, after) is ((before, after) in ALLOWED)
    if (before, after) in ALLOWED:
        require_transition(before, after, by_patient=False)
        return
    with pytest.raises(Unprocessable) as refused, in_words():
        require_transition(before, after, by_patient=False)
    [issue] = refused.value.issues
    assert issue.diagnostics == f"from {before} to {after}"
    assert all(
        f" {before} " in sentence and f" {after} " in sentence for sentence in (issue.fr, _plain(issue.en))
    )


def _plain(sentence: str) -> str:
    return sentence.replace("“", " ").replace("”", " ")


@pytest.mark.parametrize(("before", "after"), sorted(ALLOWED))
def test_what_a_patient_may_do(before: AppointmentStatus, after: AppointmentStatus) -> None:
    """Who arrived, who did not, what was a mistake and what must be agreed anew is for the practice to say; and what
    becomes of whoever is there already."""
    own = {"proposed", "pending", "booked", "cancelled", "waitlist"}
    is_there = before in ("arrived", "checked-in")
    if before == after or (after in own and (before, after) != ("booked", "pending") and not is_there):
        require_transition(before, after, by_patient=True)
    else:
        with pytest.raises(Forbidden, match=after), in_words():
            require_transition(before, after, by_patient=True)


def test_a_patient_cannot_begin_with_a_status_of_the_practice() -> None:
    require_allowed_status("booked", by_patient=True)
    require_allowed_status("arrived", by_patient=False)
    with pytest.raises(Forbidden), in_words():
        require_allowed_status("arrived", by_patient=True)


def test_what_takes_slots() -> None:
    """A request, a cancellation and a mistake take nothing; what took place keeps its past slot taken."""
    taking = {"pending", "booked", "arrived", "checked-in", "fulfilled", "noshow"}
    assert {status for status in APPOINTMENT_STATUSES if claims(status)} == taking


def test_what_may_be_booked_and_moved() -> None:
    assert set(BOOKABLE) == {"proposed", "pending", "booked", "waitlist"}
    assert all(TRANSITIONS[status, status].time == "keeps" for status in MOVABLE)
