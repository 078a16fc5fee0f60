"""Who may take part on whose word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from services.booking.tests.domain.facts import LENGTH, NINE, an_appointment, people
from services.booking.tests.telling import in_words

from creneau_booking.domain import participants as rules
from creneau_booking.domain.appointment import Participant
from creneau_booking.domain.refusals.participants import ParticipantsNotTheirs
from creneau_booking.domain.status import APPOINTMENT_STATUSES, claims
from creneau_booking.words import told
from creneau_shared.errors import CreneauError, Forbidden, Unprocessable


def code(refused: pytest.ExceptionInfo[CreneauError]) -> str | None:
    return refused.value.issues[0].details_code


@pytest.mark.parametrize("status", APPOINTMENT_STATUSES)
def test_one_patient_of_ones_own_whatever_the_status(status: str) -> None:
    mine = an_appointment(status=status)
    assert rules.require_one_own_patient(mine, {"c", "d"}) == "Patient/c"
    with pytest.raises(Forbidden) as refused, in_words():
        rules.require_one_own_patient(mine, {"d"})
    assert refused.value.issues[0].expression == ("Appointment.participant[0].actor",)
    for several in (
        people("Patient/c", "Patient/x"),
        people("Patient/c", "Patient/d"),
        people("Practitioner/p"),
    ):
        with pytest.raises(Unprocessable) as unfit, in_words():
            rules.require_one_own_patient(an_appointment(status=status, participants=several), {"c", "d"})
        assert code(unfit) == "one-patient"


@pytest.mark.parametrize("status", APPOINTMENT_STATUSES)
def test_nothing_is_taken_for_patients_who_have_all_declined(status: str) -> None:
    """They would take a slot and none of their own time. What was so before is not what a change is refused for."""
    away = an_appointment(status=status, participants=people("Patient/c", "Patient/d", status="declined"))
    some = an_appointment(
        status=status, participants=(*people("Patient/c", status="declined"), *people("Patient/d"))
    )
    rules.require_somebody_comes(None, some)
    rules.require_somebody_comes(away, away)
    if not claims(away.status):
        rules.require_somebody_comes(None, away)
        return
    for before in (None, some):
        with pytest.raises(Unprocessable) as refused, in_words():
            rules.require_somebody_comes(before, away)
        assert code(refused) == "patient-declined"


def test_strangers_are_named_by_their_place() -> None:
    wanted = an_appointment(
        participants=(*people("Patient/c", "Practitioner/x", "Location/l"), Participant(None, "accepted"))
    )
    found = rules.strangers(wanted, {"Patient/c", "Location/l"})
    assert found == (1, 3)
    assert rules.named_at(wanted, found, "Practitioner") == ("Practitioner/x",)
    assert [issue.expression for issue in told(ParticipantsNotTheirs(found)).issues] == [
        ("Appointment.participant[1].actor",),
        ("Appointment.participant[3].actor",),
    ]


def said(reference: str | None, status: str = "accepted", **more: Any) -> Participant:
    return Participant(reference, status, {"actor": {"reference": reference}, "status": status, **more})


BEFORE = [said("Patient/c"), said("Practitioner/p"), said("Location/l")]


@pytest.mark.parametrize(
    ("after", "allowed"),
    [
        ([said("Location/l"), said("Patient/c", "declined"), said("Practitioner/p")], True),
        ([said("Patient/c"), said("Practitioner/p", "declined"), said("Location/l")], False),
        ([said("Patient/c", required="optional"), *BEFORE[1:]], False),
        (BEFORE[:2], False),
        ([*BEFORE, said("Practitioner/p")], False),
        ([*BEFORE, said("Device/d")], False),
        ([*BEFORE, said(None)], False),
        ([*BEFORE, said("RelatedPerson/r")], True),
    ],
)
def test_ones_own_answer_and_nothing_else(after: list[Participant], allowed: bool) -> None:
    own = {"Patient/c", "RelatedPerson/r"}
    if allowed:
        rules.require_others_untouched(BEFORE, after, own, may_join={"RelatedPerson/r"})
        return
    with pytest.raises(Forbidden) as refused, in_words():
        rules.require_others_untouched(BEFORE, after, own, may_join={"RelatedPerson/r"})
    assert code(refused) == "element-not-yours"


def test_a_relative_joins_only_where_they_may() -> None:
    with pytest.raises(Forbidden), in_words():
        rules.require_others_untouched(BEFORE, [*BEFORE, said("RelatedPerson/r")], {"RelatedPerson/r"})


@pytest.mark.parametrize("actor", ["Practitioner/p", None])
def test_a_patient_answers_for_nobody_else(actor: str | None) -> None:
    rules.require_answerable("Patient/c", {"Patient/c"})
    with pytest.raises(Forbidden) as refused, in_words():
        rules.require_answerable(actor, {"Patient/c"})
    assert code(refused) == "participant-not-yours"


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, "accepted"),
        ({"version": 2}, "accepted"),
        ({"start": NINE + LENGTH, "end": NINE + 2 * LENGTH}, "needs-action"),
        ({"slots": ("s1",)}, "needs-action"),
        ({"visit": {"serviceType": frozenset({"|other"})}}, "needs-action"),
    ],
    ids=["nothing", "a new version", "time", "slot", "purpose"],
)
@pytest.mark.parametrize("status", ["proposed", "waitlist"])
def test_what_was_accepted_is_the_time_and_purpose_of_then(
    status: str, changed: dict[str, Any], answer: str
) -> None:
    both = (*people("Patient/c"), *people("Practitioner/p"))
    before = an_appointment(status=status, start=NINE, end=NINE + LENGTH, participants=both)
    after = replace(before, **changed).with_people(["Practitioner/p"], {"Practitioner/p"}, before)
    assert [p.status for p in after.participants] == ["accepted", answer]
