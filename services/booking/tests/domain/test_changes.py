"""What may be changed by whom, and which event a change is."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.booking.tests.domain.facts import LENGTH, NINE, an_appointment, people

from creneau_booking.domain import changes
from creneau_booking.domain.events import event_kind
from creneau_booking.domain.status import APPOINTMENT_STATUSES, AppointmentStatus, claims
from creneau_shared.errors import Unprocessable

BOOKED = an_appointment(start=NINE, end=NINE + LENGTH, participants=people("Patient/c", "Practitioner/p"))
statuses = st.sampled_from(APPOINTMENT_STATUSES)


@pytest.mark.parametrize(
    "changed",
    [{"start": NINE - LENGTH}, {"end": NINE + 2 * LENGTH}, {"slots": ("s1",)}, {"slots": ("s0", "s1")}],
)
def test_a_patient_moves_only_by_reschedule(changed: dict[str, object]) -> None:
    after = an_appointment(
        **{"start": BOOKED.start, "end": BOOKED.end, "participants": BOOKED.participants} | changed
    )
    assert changes.is_moved(BOOKED, after)
    with pytest.raises(Unprocessable) as refused:
        changes.require_unmoved(BOOKED, after)
    assert refused.value.issues[0].details_code == "use-reschedule"


def test_the_order_of_slots_is_no_move() -> None:
    both = an_appointment(slots=("s0", "s1"))
    assert not changes.is_moved(both, an_appointment(slots=("s1", "s0")))


def test_a_patient_cannot_take_another_practitioner_along() -> None:
    """Each change of whom it takes must go through a claim."""
    others = an_appointment(start=NINE, end=NINE + LENGTH, participants=people("Patient/c", "Practitioner/q"))
    assert changes.takes_others(BOOKED, others)
    with pytest.raises(Unprocessable):
        changes.require_unmoved(BOOKED, others)
    companion = an_appointment(
        start=NINE, end=NINE + LENGTH, participants=people("Patient/c", "Practitioner/p", "RelatedPerson/m")
    )
    changes.require_unmoved(BOOKED, companion)


def test_a_request_that_takes_nothing_may_be_moved() -> None:
    changes.require_unmoved(an_appointment(status="proposed"), an_appointment(slots=("s1",)))


def test_an_appointment_keeps_its_patient() -> None:
    changes.require_same_patient(BOOKED, BOOKED)
    with pytest.raises(Unprocessable):
        changes.require_same_patient(BOOKED, an_appointment(participants=people("Patient/d")))


def test_of_what_took_place_or_was_missed_when_and_who_are_fixed() -> None:
    said = {"status": "fulfilled", "start": "2026-12-01T08:00:00Z", "comment": "à jeun"}
    for status in ("fulfilled", "noshow"):
        changes.require_unended(status, said, {**said, "comment": "vu"})
        with pytest.raises(Unprocessable):
            changes.require_unended(status, said, {**said, "start": "2026-12-02T08:00:00Z"})
        with pytest.raises(Unprocessable):
            changes.require_unended(status, said, {"status": "fulfilled", "comment": "à jeun"})
    changes.require_unended("booked", said, {**said, "start": "2026-12-02T08:00:00Z"})


def test_a_patient_cancels_only_what_is_to_come() -> None:
    changes.require_cancellable(BOOKED, NINE - timedelta(seconds=1), by_patient=True)
    changes.require_cancellable(BOOKED, NINE, by_patient=False)
    with pytest.raises(Unprocessable):
        changes.require_cancellable(BOOKED, NINE, by_patient=True)


def test_nobody_misses_what_has_not_begun() -> None:
    changes.require_missed(BOOKED, NINE)
    with pytest.raises(Unprocessable):
        changes.require_missed(BOOKED, NINE - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, "proposed", None),
        (None, "booked", "booked"),
        (None, "pending", "updated"),
        ("proposed", "booked", "booked"),
        ("pending", "booked", "booked"),
        ("booked", "booked", "updated"),
        ("booked", "pending", "updated"),
        ("booked", "arrived", "updated"),
        ("booked", "cancelled", "cancelled"),
        ("pending", "cancelled", "cancelled"),
        ("fulfilled", "entered-in-error", "cancelled"),
        ("proposed", "cancelled", None),
        ("cancelled", "entered-in-error", None),
        ("cancelled", "cancelled", None),
        ("pending", "proposed", "updated"),
    ],
)
def test_event_of_a_change_of_status(
    before: AppointmentStatus | None, after: AppointmentStatus, kind: str | None
) -> None:
    earlier = an_appointment(status=before) if before else None
    assert event_kind(earlier, an_appointment(status=after)) == kind


def test_a_hold_and_a_move_have_events_of_their_own() -> None:
    assert event_kind(None, an_appointment(status="pending"), held=True) == "held"
    assert event_kind(an_appointment(), an_appointment(), moved=True) == "moved"
    assert event_kind(an_appointment(status="pending"), an_appointment(), moved=True) == "booked"


def test_nothing_is_told_of_what_takes_nothing() -> None:
    """An event must have a start; only what takes time surely has one."""
    for before, after in product(APPOINTMENT_STATUSES, repeat=2):
        told = event_kind(an_appointment(status=before), an_appointment(status=after)) is not None
        assert told is (claims(before) or claims(after))


@given(statuses, statuses, st.booleans())
def test_cancelled_events_end_what_was_taken(
    before: AppointmentStatus, after: AppointmentStatus, moved: bool
) -> None:
    kind = event_kind(an_appointment(status=before), an_appointment(status=after), moved=moved)
    if kind == "cancelled":
        assert claims(before)
        assert not claims(after)
    if kind == "moved":
        assert before == after == "booked"
