"""What a participant's answer makes of an appointment, as far as the clock decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.domain.facts import LENGTH, NINE, NOW, an_appointment, people

from creneau_booking.domain.answers import Answer, Outcome, outcome_of
from creneau_booking.domain.appointment import Appointment, CounterProposal
from creneau_booking.domain.refusals.answers import AnsweredAfterStart, ProposalBegun

SECOND = timedelta(seconds=1)
EARLIER = NINE - timedelta(days=2)


def answered(before: Appointment, by: str, now: datetime, status: str = "accepted", **times: Any) -> Outcome:
    return outcome_of(before, Answer("r2", frozenset({by}), status, **times), now, held=False)


def countered(by: str) -> Appointment:
    """Booked, and one side would rather come two days earlier."""
    return an_appointment(
        start=NINE,
        end=NINE + LENGTH,
        participants=people("Patient/c", "Practitioner/p", status="needs-action"),
        counter=CounterProposal("r1", by, EARLIER, EARLIER + LENGTH),
    )


@pytest.mark.parametrize(
    ("by", "accepts"), [("Practitioner/p", "Patient/c"), ("Patient/c", "Practitioner/p")]
)
@pytest.mark.parametrize("says_when", [False, True])
def test_a_proposed_time_that_has_passed_is_accepted_by_nobody(
    by: str, accepts: str, says_when: bool
) -> None:
    """The visit would be in the past, and its real time given away."""
    visit = countered(by)
    times: dict[str, Any] = {"start": EARLIER, "end": EARLIER + LENGTH} if says_when else {}
    assert answered(visit, accepts, EARLIER - SECOND, **times).effect == "move"
    for now in (EARLIER, EARLIER + SECOND):
        with pytest.raises(ProposalBegun):
            answered(visit, accepts, now, **times)


def test_what_has_passed_of_a_proposal_is_refused_or_given_up_as_before() -> None:
    visit = countered("Practitioner/p")
    keeps = answered(visit, "Patient/c", EARLIER, start=NINE, end=NINE + LENGTH)
    assert (keeps.effect, keeps.appointment.counter, keeps.appointment.start) == ("answer", None, NINE)
    assert answered(visit, "Patient/c", EARLIER, "declined").effect == "cancel"


@pytest.mark.parametrize("last", ["Patient/c", "Practitioner/p"])
def test_a_request_whose_time_has_come_is_booked_by_no_yes(last: str) -> None:
    first = ({"Patient/c", "Practitioner/p"} - {last}).pop()
    request = an_appointment(
        status="proposed",
        start=NINE,
        end=NINE + LENGTH,
        participants=(*people(first), *people(last, status="needs-action")),
    )
    assert answered(request, last, NINE - SECOND).effect == "book"
    with pytest.raises(AnsweredAfterStart):
        answered(request, last, NINE)
    assert answered(request, last, NINE, "declined").effect == "cancel"


def test_a_request_without_a_time_is_booked_whenever_all_agree() -> None:
    request = an_appointment(
        status="proposed",
        participants=(*people("Patient/c"), *people("Practitioner/p", status="needs-action")),
    )
    assert answered(request, "Practitioner/p", NOW).effect == "book"
