"""What may be changed by whom, and which event a change is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from services.booking.tests.domain.facts import LENGTH, NINE, an_appointment, people
from services.booking.tests.telling import in_words

from creneau_booking.domain import changes
from creneau_booking.domain.status import APPOINTMENT_STATUSES, AppointmentStatus, claims
from creneau_booking.domain.transitions import TRANSITIONS, told
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
    with pytest.raises(Unprocessable) as refused, in_words():
        changes.require_unmoved(BOOKED, after)
    assert refused.value.issues[0].details_code == "use-reschedule"


def test_the_order_of_slots_is_no_move() -> None:
    both = an_appointment(slots=("s0", "s1"))
    assert not changes.is_moved(both, an_appointment(slots=("s1", "s0")))


def test_a_patient_cannot_take_another_practitioner_along() -> None:
    """Each change of whom it takes must go through a claim."""
    others = an_appointment(start=NINE, end=NINE + LENGTH, participants=people("Patient/c", "Practitioner/q"))
    assert changes.takes_others(BOOKED, others)
    with pytest.raises(Unprocessable), in_words():
        changes.require_unmoved(BOOKED, others)
    companion = an_appointment(
        start=NINE, end=NINE + LENGTH, participants=people("Patient/c", "Practitioner/p", "RelatedPerson/m")
    )
    changes.require_unmoved(BOOKED, companion)


def test_a_request_that_takes_nothing_may_be_moved() -> None:
    changes.require_unmoved(an_appointment(status="proposed"), an_appointment(slots=("s1",)))


def test_an_appointment_keeps_its_patient() -> None:
    changes.require_same_patient(BOOKED, BOOKED)
    with pytest.raises(Unprocessable), in_words():
        changes.require_same_patient(BOOKED, an_appointment(participants=people("Patient/d")))


def test_of_what_took_place_or_was_missed_when_and_who_are_fixed() -> None:
    said = {"status": "fulfilled", "start": "2026-12-01T08:00:00Z", "comment": "à jeun"}
    for status in ("fulfilled", "noshow"):
        changes.require_unended(status, said, {**said, "comment": "vu"})
        with pytest.raises(Unprocessable), in_words():
            changes.require_unended(status, said, {**said, "start": "2026-12-02T08:00:00Z"})
        with pytest.raises(Unprocessable), in_words():
            changes.require_unended(status, said, {"status": "fulfilled", "comment": "à jeun"})
    changes.require_unended("booked", said, {**said, "start": "2026-12-02T08:00:00Z"})


def test_a_patient_cancels_only_what_is_to_come() -> None:
    changes.require_to_come(BOOKED, NINE - timedelta(seconds=1), by_patient=True)
    changes.require_to_come(BOOKED, NINE, by_patient=False)
    with pytest.raises(Unprocessable), in_words():
        changes.require_to_come(BOOKED, NINE, by_patient=True)


def test_nobody_misses_what_has_not_begun() -> None:
    """Whether it becomes missed or is entered as such; what is missed already stays so."""
    missed, early = replace(BOOKED, status="noshow"), NINE - timedelta(seconds=1)
    for before in (None, "booked"):
        changes.require_missed(before, missed, NINE)
        with pytest.raises(Unprocessable), in_words():
            changes.require_missed(before, missed, early)
    changes.require_missed("noshow", missed, early)


def test_who_declines_gives_their_own_time_back_and_who_says_yes_later_takes_it() -> None:
    two = an_appointment(participants=people("Patient/c", "Patient/d"))
    one = an_appointment(participants=(*people("Patient/c"), *people("Patient/d", status="declined")))
    asked = an_appointment(participants=people("Patient/c", "Patient/d", status="needs-action"))
    assert changes.is_for_others(two, one)
    assert changes.is_for_others(one, two)
    assert not changes.is_for_others(two, asked)


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
    assert told(before, after) == kind


def test_a_move_has_an_event_of_its_own() -> None:
    assert told("booked", "booked", moved=True) == "moved"
    assert told("pending", "booked", moved=True) == "booked"


@pytest.mark.parametrize(("before", "after"), sorted(TRANSITIONS, key=str))
def test_what_each_step_does_to_time_is_what_its_ends_say(
    before: AppointmentStatus | None, after: AppointmentStatus
) -> None:
    """Nothing is told of what takes nothing: an event must have a start, and only what takes time surely has one."""
    was, will = before is not None and claims(before), claims(after)
    step = TRANSITIONS[before, after]
    assert step.time == {(False, True): "takes", (True, True): "keeps", (True, False): "gives back"}.get(
        (was, will), "none"
    )
    assert (step.told is not None) is (was or will)
    assert (step.told == "cancelled") is (step.time == "gives back" and after not in ("proposed", "waitlist"))
