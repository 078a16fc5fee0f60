"""What an appointment takes: slots that fit together, within their horizon, open to whoever asks; and people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.booking.tests.domain.facts import LENGTH, NINE, NOW, a_slot, an_appointment, people
from services.booking.tests.telling import in_words

from creneau_booking.domain.appointment import Appointment, SlotFact
from creneau_booking.domain.refusals.slots import AgendaClosed, SlotBegun, SlotTaken, UnknownSlots
from creneau_booking.domain.rules import Claim, claim_for, is_usable_part, not_overruled, to_resolve
from creneau_shared.clock import shown
from creneau_shared.errors import Conflict, CreneauError, Forbidden, Unprocessable
from creneau_shared.refusal import Refusal


def claim(appointment: Appointment, *slots: SlotFact, by_patient: bool = True, **more: Any) -> Claim:
    more = {"adjacent_max": 9, "now": NOW, **more}
    return claim_for(appointment, slots, by_patient=by_patient, **more)


def refusal(
    kind: type[CreneauError],
    appointment: Appointment,
    *slots: SlotFact,
    by_patient: bool = True,
    **more: Any,
) -> str:
    with pytest.raises(kind) as refused, in_words():
        claim(appointment, *slots, by_patient=by_patient, **more)
    return refused.value.issues[0].details_code or ""


def test_one_slot() -> None:
    taken = claim(an_appointment(), a_slot())
    assert (taken.start, taken.end, taken.slot_status) == (NINE, NINE + LENGTH, "busy")
    assert taken.actors == ("Patient/c", "Practitioner/p")
    assert taken.schedules == ("Schedule/a",)


def test_a_pending_appointment_takes_its_slot_tentatively() -> None:
    assert claim(an_appointment(status="pending"), a_slot()).slot_status == "busy-tentative"


@given(st.permutations(range(5)), st.integers(1, 5))
def test_adjacent_slots_are_one_period_in_any_order(order: list[int], count: int) -> None:
    slots = [a_slot(index) for index in order if index < count]
    taken = claim(an_appointment(slots=tuple(slot.id for slot in slots)), *slots)
    assert (taken.start, taken.end) == (NINE, NINE + count * LENGTH)


@given(st.sets(st.integers(0, 8), min_size=2))
def test_slots_with_a_gap_between_them_are_refused(indexes: set[int]) -> None:
    slots = [a_slot(index) for index in indexes]
    appointment = an_appointment(slots=tuple(slot.id for slot in slots))
    if max(indexes) - min(indexes) == len(indexes) - 1:
        claim(appointment, *slots)
    else:
        assert refusal(Unprocessable, appointment, *slots) == "slots-not-adjacent"


@given(st.integers(-30, 50), st.integers(-5, 50))
def test_a_part_of_a_slot_may_be_taken_but_nothing_beyond_it(first: int, minutes: int) -> None:
    start = NINE + timedelta(minutes=first)
    end = start + timedelta(minutes=minutes)
    appointment = an_appointment(start=start, end=end)
    if minutes <= 0:
        assert refusal(Unprocessable, appointment, a_slot()) == "appointment-order"
    elif first >= 0 and first + minutes <= 20:
        by_patient = minutes == 20
        if not by_patient:
            assert refusal(Unprocessable, appointment, a_slot()) == "part-of-slot"
        taken = claim(appointment, a_slot(), by_patient=by_patient)
        assert (taken.start, taken.end) == (start, end)
        assert len(taken.cuts) == (minutes < 20)
    else:
        assert refusal(Unprocessable, appointment, a_slot()) == "outside-slot"


@given(st.integers(0, 179), st.integers(1, 180))
def test_a_patient_takes_of_open_time_what_leaves_something_of_use(first: int, minutes: int) -> None:
    """Three hours are no visit: a part of them is, in steps of five minutes, unless it leaves a shorter rest."""
    morning = a_slot(end=NINE + timedelta(hours=3))
    start = NINE + timedelta(minutes=first)
    appointment = an_appointment(start=start, end=start + timedelta(minutes=minutes))
    if first + minutes > 180:
        assert refusal(Unprocessable, appointment, morning) == "outside-slot"
    elif first % 5 or minutes % 5:
        assert refusal(Unprocessable, appointment, morning) == "part-of-slot"
    else:
        assert len(claim(appointment, morning).cuts) == (minutes < 180)


@pytest.mark.parametrize(
    ("hours", "said", "allowed"), [(1, None, False), (2, None, True), (1, True, True), (6, False, False)]
)
def test_an_agenda_says_whether_patients_take_parts(hours: int, said: bool | None, allowed: bool) -> None:
    """Of two hours or more they do, where it does not."""
    open_time = a_slot(end=NINE + timedelta(hours=hours), parts=said)
    part = an_appointment(start=NINE, end=NINE + LENGTH)
    if allowed:
        assert len(claim(part, open_time).cuts) == 1
    else:
        assert refusal(Unprocessable, part, open_time) == "part-of-slot"


@pytest.mark.parametrize(("said", "most"), [(None, 4), (1, 1), (5, 5)])
def test_an_agenda_says_of_how_many_slots_a_patient_makes_a_visit(said: int | None, most: int) -> None:
    for count in (most, most + 1):
        slots = [a_slot(index, adjacent_max=said) for index in range(count)]
        wanted = an_appointment(slots=tuple(slot.id for slot in slots))
        assert claim(wanted, *slots, by_patient=False, adjacent_max=4).start == NINE
        if count == most:
            claim(wanted, *slots, adjacent_max=4)
        else:
            assert refusal(Unprocessable, wanted, *slots, adjacent_max=4) == "visit-of-too-many-slots"


def test_only_a_practice_leaves_time_between_its_slots() -> None:
    """It says so with the appointment; overlapping slots of one agenda never make one."""
    gap = (a_slot(0), a_slot(2))
    wanted = an_appointment(slots=("s0", "s2"))
    assert refusal(Unprocessable, wanted, *gap) == "slots-not-adjacent"
    taken = claim(an_appointment(slots=("s0", "s2"), with_gap=True), *gap, by_patient=False)
    assert (taken.start, taken.end) == (NINE, NINE + 3 * LENGTH)
    overlapping = (a_slot(0), a_slot(2, start=NINE + timedelta(minutes=10)))
    assert (
        refusal(Unprocessable, an_appointment(slots=("s0", "s2"), with_gap=True), *overlapping)
        == "slots-not-adjacent"
    )


def test_several_agendas_must_all_cover_the_appointment() -> None:
    """A practitioner's slot and a room's: both agendas' people are taken, for one period."""
    room = a_slot(schedule="b", id="r0", exclusive=("Device/scanner", "Practitioner/q"))
    both = an_appointment(slots=("s0", "r0"))
    assert claim(both, a_slot(), room).actors == (
        "Device/scanner",
        "Patient/c",
        "Practitioner/p",
        "Practitioner/q",
    )
    later = a_slot(1, schedule="b", id="r0")
    assert refusal(Unprocessable, both, a_slot(), later) == "outside-slot"


def test_an_unknown_slot_is_named() -> None:
    with pytest.raises(Unprocessable) as refused, in_words():
        claim(an_appointment(slots=("s0", "s1")), a_slot())
    assert refused.value.issues[0].diagnostics == "Slot/s1"


@pytest.mark.parametrize(("status", "code"), [("busy", "slot-taken"), ("busy-tentative", "slot-held")])
def test_a_taken_slot_is_a_conflict_that_names_it(status: str, code: str) -> None:
    assert refusal(Conflict, an_appointment(), a_slot(status=status)) == code
    with pytest.raises(Conflict) as refused, in_words():
        claim(an_appointment(), a_slot(status=status))
    [issue] = refused.value.issues
    assert all(shown(NINE) in text for text in (issue.fr, issue.en))
    assert (issue.diagnostics or "").startswith("Slot/s0")


@pytest.mark.parametrize("status", ["busy-unavailable", "entered-in-error"])
def test_what_is_not_free_is_never_taken(status: str) -> None:
    assert refusal(Conflict, an_appointment(), a_slot(status=status), by_patient=False) == "slot-taken"


def test_the_horizon_covers_the_whole_slot() -> None:
    minute = timedelta(minutes=1)
    claim(an_appointment(), a_slot(horizon_start=NINE, horizon_end=NINE + LENGTH))
    for slot in (a_slot(horizon_start=NINE + minute), a_slot(horizon_end=NINE + LENGTH - minute)):
        assert refusal(Unprocessable, an_appointment(), slot, by_patient=False) == "outside-horizon"


def test_an_inactive_agenda_is_closed_to_everybody() -> None:
    assert refusal(Unprocessable, an_appointment(), a_slot(schedule_open=False), by_patient=False) == (
        "schedule-inactive"
    )


def test_what_an_appointment_has_already_is_not_judged_anew() -> None:
    """Its own slot is busy because of itself, and its agenda may have closed since."""
    own = a_slot(status="busy", schedule_open=False)
    both = an_appointment(slots=("s0", "s1"))
    taken = claim(both, own, a_slot(1), kept={"s0"})
    assert [slot.id for slot in taken.new_slots] == ["s1"]
    assert taken.kept == {"s0"}


@given(st.integers(0, 240), st.integers(1, 240), st.booleans())
def test_a_patient_leaves_of_open_time_only_what_could_be_taken(
    first: int, minutes: int, by_patient: bool
) -> None:
    """By moving to and fro within their own slot, nobody cuts a practice's time to pieces of a minute."""
    start = NINE + timedelta(minutes=first)
    end = min(start + timedelta(minutes=minutes), NINE + timedelta(hours=4))
    morning = replace(a_slot(), end=NINE + timedelta(hours=4))
    had = replace(morning, status="busy", taken_by="v")
    wanted = replace(an_appointment(), id="v", start=start, end=end)
    if start >= end:
        return
    kept = claim(wanted, had, by_patient=by_patient, kept={had.id}).cuts
    taken = is_usable_part(had.start, had.end, had.parts, start, end)
    is_part = (start, end) != (had.start, had.end)
    assert bool(kept) is (is_part and (taken or not by_patient))


def test_of_open_time_that_has_begun_a_patient_takes_a_part_to_come() -> None:
    """From nine to seven, for a day at the most; of a slot that is one visit nothing."""
    now = NINE + timedelta(hours=4, minutes=59)
    day = a_slot(start=NINE, end=NINE + timedelta(hours=10))

    def at(minutes: int) -> Appointment:
        begins = NINE + timedelta(minutes=minutes)
        return an_appointment(start=begins, end=begins + timedelta(minutes=30))

    claim(at(300), day, now=now)
    assert refusal(Unprocessable, at(295), day, now=now) == "slot-in-the-past"
    assert refusal(Unprocessable, an_appointment(), day, now=now) == "slot-in-the-past"
    assert refusal(Unprocessable, at(300), replace(day, parts=False), now=now) == "part-of-slot"
    days = a_slot(start=NINE, end=NINE + timedelta(hours=40))
    claim(at(1500), days, now=NINE + timedelta(hours=23))
    assert refusal(Unprocessable, at(1500), days, now=NINE + timedelta(hours=24)) == "slot-in-the-past"


def test_what_is_past_is_past_as_it_is_told() -> None:
    """Of open time that began more than a day ago, its beginning is told, and no moment to come."""
    days, now = a_slot(start=NINE, end=NINE + timedelta(days=2)), NINE + timedelta(hours=24, minutes=1)
    wanted = an_appointment(start=now + timedelta(hours=1), end=now + timedelta(hours=2))
    with pytest.raises(SlotBegun) as refused:
        claim(wanted, days, now=now)
    assert refused.value.start == NINE


def test_the_past_is_closed_to_patients_only() -> None:
    past = a_slot(start=NOW, end=NOW + LENGTH)
    assert refusal(Unprocessable, an_appointment(), past) == "slot-in-the-past"
    claim(an_appointment(), past, by_patient=False)


@pytest.mark.parametrize(
    ("visibility", "allowed"), [((), True), (("PUBLIC",), True), (("PUBLIC", "SNP"), True), (("PRO",), False)]
)
def test_visibility(visibility: tuple[str, ...], allowed: bool) -> None:
    """TRE_R314: a slot for professionals is not for patients; the practice may book any."""
    slot = a_slot(visibility=frozenset(visibility))
    claim(an_appointment(), slot, by_patient=False)
    if allowed:
        claim(an_appointment(), slot)
    else:
        assert refusal(Unprocessable, an_appointment(), slot) == "unknown-slot"


def test_another_practice_s_slot_that_is_not_open_is_as_one_that_does_not_exist() -> None:
    slot = a_slot(owners=frozenset({"B"}), visibility=frozenset({"PRO"}))
    claim(an_appointment(), slot, by_patient=False, practices={"B"})
    claim(an_appointment(), slot, by_patient=False, practices={"A"}, kept={slot.id})
    with pytest.raises(Unprocessable, match="does not exist"), in_words():
        claim(an_appointment(), slot, by_patient=False, practices={"A"})


def test_a_patient_books_a_slot_for_one_person() -> None:
    assert (
        refusal(Unprocessable, an_appointment(participants=people("Practitioner/p")), a_slot())
        == "one-patient"
    )
    two = an_appointment(participants=people("Patient/c", "Patient/d"))
    assert refusal(Unprocessable, two, a_slot()) == "one-patient"
    without = an_appointment(slots=(), start=NINE, end=NINE + LENGTH)
    assert refusal(Unprocessable, without) == "no-slot"


def test_software_may_book_people_without_a_slot_but_not_without_a_time() -> None:
    free_hand = an_appointment(
        slots=(), start=NINE, end=NINE + LENGTH, participants=people("Patient/c", "Practitioner/p")
    )
    assert claim(free_hand, by_patient=False).actors == ("Patient/c", "Practitioner/p")
    assert refusal(Unprocessable, an_appointment(slots=()), by_patient=False) == "no-time"


def test_who_is_taken() -> None:
    """Practitioners (also through their role), devices, rooms and patients, once each and sorted; not places that receive
    many, not who declined."""
    participants = (
        *people(
            "Patient/c", "PractitionerRole/r", "Device/d", "Practitioner/p", "Location/l", "Location/room"
        ),
        *people("Practitioner/away", status="declined"),
    )
    taken = claim(
        an_appointment(participants=participants),
        a_slot(),
        by_patient=False,
        resolved={"PractitionerRole/r": "Practitioner/a", "Location/room": "Location/room"},
    )
    assert taken.actors == ("Device/d", "Location/room", "Patient/c", "Practitioner/a", "Practitioner/p")


def test_who_has_declined_has_no_place() -> None:
    both = an_appointment(participants=(*people("Patient/c"), *people("Patient/d", status="declined")))
    taken = claim(both, a_slot(capacity=2), by_patient=False)
    assert (taken.persons, taken.actors) == (("Patient/c",), ("Patient/c",))


def test_a_visit_in_another_ones_slot_takes_its_patients_alone() -> None:
    """Overbooked: the agenda's people are the first visit's, however the second is changed."""
    second = an_appointment(participants=people("Patient/c", "Practitioner/p"))
    other = a_slot(status="busy", taken_by="first")
    assert claim(second, other, kept={"s0"}, by_patient=False).actors == ("Patient/c",)
    own = a_slot(status="busy", taken_by=second.id)
    assert claim(second, own, kept={"s0"}, by_patient=False).actors == ("Patient/c", "Practitioner/p")


def test_what_only_the_directory_knows() -> None:
    """Of roles and places: whether somebody, or they themselves, are taken. Who has declined is not asked after."""
    participants = (
        *people("Patient/c", "Practitioner/p", "PractitionerRole/r", "Location/l"),
        *people("PractitionerRole/away", status="declined"),
    )
    assert to_resolve(an_appointment(participants=participants)) == ("Location/l", "PractitionerRole/r")


def test_a_hidden_visit_takes_its_patient_apart() -> None:
    """So that no refusal tells those who represent the patient of it."""
    assert claim(an_appointment(hidden=True), a_slot()).actors == ("Patient/c#hidden", "Practitioner/p")


@pytest.mark.parametrize(
    "other",
    [
        {"offers": {"serviceType": frozenset({"s|VR"})}},
        {"offers": {"specialty": frozenset({"s|SM15"})}},
        {"visibility": frozenset({"PUBLIC"})},
    ],
)
def test_slots_of_two_kinds_make_no_visit(other: dict[str, Any]) -> None:
    """Of one agenda; a room's slots are for something else than a practitioner's."""
    both = an_appointment(slots=("s0", "s1"))
    assert (
        refusal(Unprocessable, both, a_slot(), a_slot(1, **other), by_patient=False) == "slots-of-two-kinds"
    )
    room = a_slot(schedule="b", id="s1", exclusive=("Location/room",), **other)
    claim(both, a_slot(), room, by_patient=False)


def test_a_second_visit_at_one_time_is_for_a_reason() -> None:
    """And only the patient's time may be given twice, and not by a patient."""
    missing = ("Patient/c", "Practitioner/p")
    reasoned = an_appointment(double_booking_reason="deux examens à la suite")
    assert not_overruled(an_appointment(), missing, by_patient=False) == missing
    assert not_overruled(reasoned, missing, by_patient=True) == missing
    assert not_overruled(reasoned, missing, by_patient=False) == ("Practitioner/p",)


@pytest.mark.parametrize("other", ["Practitioner/q", "PractitionerRole/r", "Device/d"])
def test_a_patient_takes_the_agendas_people_and_nobody_else(other: str) -> None:
    """However the other is named; a role of the agenda's own Practitioner is no other."""
    wanted = an_appointment(participants=people("Patient/c", "Practitioner/p", other))
    roles = {"PractitionerRole/r": "Practitioner/q", "PractitionerRole/own": "Practitioner/p"}
    with pytest.raises(Forbidden) as refused, in_words():
        claim(wanted, a_slot(), resolved=roles)
    assert refused.value.issues[0].expression == ("Appointment.participant[2].actor",)
    assert refused.value.issues[0].details_code == "participant-not-yours"
    claim(wanted, a_slot(), by_patient=False, resolved=roles)
    own = an_appointment(participants=people("Patient/c", "PractitionerRole/own"))
    assert claim(own, a_slot(), resolved=roles).actors == ("Patient/c", "Practitioner/p")


def test_a_patient_comes_for_what_the_slot_offers() -> None:
    """Codes of the slot, where it says any; its silence is no limit, and the practice is free."""
    offering = a_slot(offers={"serviceType": frozenset({"s|AMB", "AMB"})})
    fit = an_appointment(visit={"serviceType": frozenset({"s|AMB"}), "specialty": frozenset({"s|SM54"})})
    claim(fit, offering)
    for said in ("s|VR", "text|en urgence"):
        other = an_appointment(visit={"serviceType": frozenset({said})})
        assert refusal(Forbidden, other, offering) == "element-not-yours"
        claim(other, offering, by_patient=False)
        claim(other, a_slot())


@pytest.mark.parametrize(
    ("slot", "by_patient", "refused"),
    [
        (a_slot(status="busy"), True, SlotTaken("s0", NINE, "busy")),
        (a_slot(status="busy-tentative"), False, SlotTaken("s0", NINE, "busy-tentative")),
        (a_slot(schedule_open=False), True, AgendaClosed("a")),
        (a_slot(1), True, UnknownSlots(("s0",))),
    ],
)
def test_what_is_refused_is_a_fact(slot: SlotFact, by_patient: bool, refused: Refusal) -> None:
    """The rules say what is so; how a caller is told is another's matter."""
    with pytest.raises(type(refused)) as found:
        claim(an_appointment(), slot, by_patient=by_patient)
    assert found.value == refused
