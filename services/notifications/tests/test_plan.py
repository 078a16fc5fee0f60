"""Planning: which messages an event calls for, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_notifications.channels.registry import CHANNELS
from creneau_notifications.domain.appointment import Change
from creneau_notifications.domain.plan import Kind, plan
from creneau_shared.fhir.zones import OVERSEAS

from .factories import BOOKED_AT, START, appointment, event, instants

PARIS = ZoneInfo("Europe/Paris")
BOTH = {name: channel.rules for name, channel in CHANNELS.items()}
EMAIL_ONLY = {"email": BOTH["email"]}
REMINDER_RULES = [rule for rules in BOTH.values() for rule in rules.reminders]
ZONES = [PARIS, *(ZoneInfo(name) for name in sorted(set(OVERSEAS.values())))]


def planned(made, *, known=None, now=None, zone=PARIS, channels=BOTH, leaves=False):
    return plan(made, known=known, now=now or made.time, zone=zone, channels=channels, leaves=leaves)


def kinds(made, **options):
    return [(m.kind, m.rule, m.channel) for m in planned(made, **options).messages]


def test_a_booking_two_weeks_ahead_is_confirmed_and_reminded_three_times():
    assert kinds(event()) == [
        (Kind.CONFIRMATION, "", "email"),
        (Kind.REMINDER, "7-days", "email"),
        (Kind.REMINDER, "2-days", "email"),
        (Kind.REMINDER, "2-hours", "sms"),
    ]


def test_reminders_leave_at_the_hour_of_the_visit_or_the_stated_hours_before():
    due = {m.rule: m.due_at for m in planned(event()).messages}
    assert due["7-days"] == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert due["2-days"] == datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
    assert due["2-hours"] == datetime(2026, 12, 1, 7, 0, tzinfo=UTC)


def test_a_reminder_keeps_the_hour_on_the_clock_across_the_end_of_summer_time():
    start = datetime(2026, 10, 26, 9, 0, tzinfo=UTC)  # 10:00 in Paris, winter time since the day before
    made = event(start=start, time=start - timedelta(days=20))
    due = {m.rule: m.due_at.astimezone(PARIS) for m in planned(made).messages}
    assert (due["7-days"].hour, due["7-days"].utcoffset()) == (10, timedelta(hours=2))
    assert due["2-days"].hour == 10


def test_the_reminder_of_an_early_visit_leaves_the_evening_before():
    made = event(start=datetime(2026, 12, 1, 7, 30, tzinfo=UTC))  # 8:30 in Paris, two hours before is 6:30
    due = {m.rule: m.due_at.astimezone(PARIS) for m in planned(made).messages}
    assert due["2-hours"].strftime("%d %H:%M") == "30 19:30"


@pytest.mark.parametrize(
    ("ahead", "rules"),
    [
        (timedelta(days=10), {"", "2-days", "2-hours"}),
        (timedelta(days=10, seconds=1), {"", "7-days", "2-days", "2-hours"}),
        (timedelta(days=3), {"", "2-hours"}),
        (timedelta(hours=6), {""}),
    ],
)
def test_a_reminder_that_would_follow_the_booking_closely_is_not_planned(ahead, rules):
    made = event(time=START - ahead)
    assert {m.rule for m in planned(made).messages} == rules


def test_text_messages_only_for_those_who_can_be_reached_by_them():
    assert "sms" not in {m.channel for m in planned(event(), channels=EMAIL_ONLY).messages}


def test_planning_twice_gives_the_same_ids_and_another_event_gives_others():
    first, again = planned(event()).messages, planned(event()).messages
    assert first == again
    other = planned(event(number=2)).messages
    assert not {m.id for m in first} & {m.id for m in other}
    assert len({m.id for m in first}) == len(first)


def test_a_move_supersedes_and_tells_and_reminds_anew():
    made = event(Change.MOVED, 2, start=START + timedelta(days=2), previous_start=START)
    result = planned(made, known=appointment())
    assert result.supersedes
    assert [m.kind for m in result.messages] == [Kind.CHANGE] + [Kind.REMINDER] * 3
    assert {m.due_at for m in result.messages}.isdisjoint({m.due_at for m in planned(event()).messages[1:]})


def test_a_cancellation_supersedes_and_tells_once_without_reminding():
    result = planned(event(Change.CANCELLED, 2), known=appointment())
    assert result.supersedes
    assert [m.kind for m in result.messages] == [Kind.CANCELLATION]


@pytest.mark.parametrize("change", [Change.HELD, Change.HOLD_EXPIRED])
def test_what_was_never_announced_is_not_told(change):
    assert planned(event(change, status="pending")).messages == ()


def test_letting_go_of_a_hold_is_not_told_as_a_cancellation():
    assert planned(event(Change.CANCELLED, 2), known=appointment(status="pending")).messages == ()


@pytest.mark.parametrize(
    ("by", "kinds"), [("provider", [Kind.CANCELLATION]), ("system", [Kind.CANCELLATION]), ("patient", [])]
)
def test_whoever_asked_a_practice_is_told_that_it_refused_or_did_not_answer(by, kinds):
    """And not of what they withdrew themselves."""
    refused = event(Change.CANCELLED, 2, cancelled_by=by, awaited=True)
    assert [m.kind for m in planned(refused, known=appointment(status="pending")).messages] == kinds


@pytest.mark.parametrize("awaited", [True, False])
def test_what_was_booked_before_it_waited_is_told_whoever_cancels_it(awaited):
    withdrawn = event(Change.CANCELLED, 3, cancelled_by="patient", awaited=awaited, was_booked=True)
    told = planned(withdrawn, known=appointment(status="pending")).messages
    assert [m.kind for m in told] == [Kind.CANCELLATION]


def test_a_visit_is_in_the_calendar_from_when_it_was_booked_until_it_is_cancelled():
    booked = event()
    asked = event(Change.UPDATED, 2, status="pending").following(booked)
    asked_anew = event(Change.HELD, 3, status="pending").following(asked)
    cancelled = event(Change.CANCELLED, 4).following(asked_anew)
    assert [e.was_booked for e in (asked, asked_anew, cancelled)] == [True] * 3
    for before in (None, event(Change.HELD, status="pending"), cancelled, event(patient="Patient/other")):
        assert not event(Change.CANCELLED, 5).following(before).was_booked


def test_an_update_that_changes_nothing_told_leaves_the_reminders_alone():
    result = planned(event(Change.UPDATED, 2, version=2), known=appointment())
    assert (result.supersedes, result.messages) == (False, ())


def test_another_practitioner_is_told_and_reminders_are_planned_anew():
    made = event(Change.UPDATED, 2, actors=("Practitioner/other", "Location/lieu-marais"))
    result = planned(made, known=appointment())
    assert result.supersedes
    assert result.messages[0].kind is Kind.CHANGE


OTHER = "Patient/0193a5c0-0003-7000-8000-000000000002"


@pytest.mark.parametrize("change", [Change.UPDATED, Change.MOVED])
def test_whoever_gets_a_visit_of_somebody_else_is_told_that_it_is_theirs(change):
    """The practice has taken one person for another of the same name: to this one nothing has changed."""
    made = event(change, 2, version=2, patient=OTHER, previous_start=START)
    result = planned(made, known=appointment())
    assert result.supersedes
    assert [m.kind for m in result.messages if m.kind is not Kind.REMINDER] == [Kind.CONFIRMATION]
    assert {m.recipient for m in result.messages} == {OTHER}


@pytest.mark.parametrize("status", ["pending", "proposed", "waitlist"])
def test_a_visit_whose_booking_was_not_heard_of_is_confirmed_by_what_follows(status):
    """Its event was buried, or is replayed later, when it has no effect any more."""
    made = event(Change.UPDATED, 3, version=3)
    told = planned(made, known=appointment(status=status)).messages
    assert [m.kind for m in told] == [Kind.CONFIRMATION] + [Kind.REMINDER] * 3


@pytest.mark.parametrize("status", ["arrived", "fulfilled", "noshow"])
def test_a_visit_that_took_place_by_mistake_only_is_not_confirmed_anew(status):
    result = planned(event(Change.UPDATED, 3, version=3), known=appointment(status=status))
    assert {m.kind for m in result.messages} == {Kind.REMINDER}


@pytest.mark.parametrize("status", ["fulfilled", "noshow", "arrived", "entered-in-error"])
def test_a_visit_that_is_over_or_under_way_is_not_reminded_of(status):
    result = planned(event(Change.UPDATED, 2, status=status), known=appointment())
    assert (result.supersedes, result.messages) == (True, ())


def test_a_visit_that_is_hidden_later_is_not_reminded_of():
    result = planned(event(Change.UPDATED, 2, hidden=True), known=appointment())
    assert (Kind.REMINDER in result.withdraws, result.messages) == (True, ())


def test_whoever_leaves_is_told_of_cancellations_alone():
    assert planned(event(), leaves=True).messages == ()
    cancelled = planned(event(Change.CANCELLED, 2), known=appointment(), leaves=True)
    assert [m.kind for m in cancelled.messages] == [Kind.CANCELLATION]


def test_an_appointment_without_patient_has_nobody_to_tell():
    assert planned(event(patient=None)).messages == ()


def test_an_event_read_again_after_the_visit_plans_nothing():
    made = event()
    assert planned(made, now=made.appointment.end).messages == ()


def test_a_confirmation_three_days_late_is_useless_and_never_outlives_the_visit():
    assert planned(event()).messages[0].expires_at == BOOKED_AT + timedelta(hours=72)
    soon = event(time=START - timedelta(hours=1))
    assert planned(soon).messages[0].expires_at == soon.appointment.end


@pytest.mark.parametrize("change", [Change.MOVED, Change.CANCELLED])
def test_news_of_a_change_or_a_cancellation_is_of_use_as_long_as_the_visit_is_to_come(change):
    """Whoever does not hear of it stands before a closed door."""
    [told] = [m for m in planned(event(change, 2), known=appointment()).messages if m.rule == ""]
    assert told.expires_at == START + timedelta(minutes=20)


def test_a_move_to_an_earlier_time_is_told_until_the_one_before():
    made = event(Change.MOVED, 2, start=START - timedelta(days=5), previous_start=START)
    [told] = [m for m in planned(made, known=appointment()).messages if m.rule == ""]
    assert told.expires_at == START


CLOCK_CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2027, 3, 14, 5, tzinfo=UTC),  # Saint-Pierre-et-Miquelon
]
around_clock_changes = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    st.sampled_from(CLOCK_CHANGES),
    st.integers(-14 * 1440, 14 * 1440),
)


@given(
    start=st.one_of(instants, around_clock_changes),
    ahead=st.timedeltas(timedelta(minutes=1), timedelta(days=120)),
    zone=st.sampled_from(ZONES),
)
def test_every_reminder_is_civil_in_time_and_useful(start, ahead, zone):
    """Everywhere, across every clock change: between 8:00 and 20:00, after booking, before the visit."""
    made = event(start=start, time=start - ahead)
    for message in planned(made, zone=zone).messages:
        if message.kind is Kind.REMINDER:
            assert made.time < message.due_at < start
            assert message.expires_at == start
            assert 8 <= message.due_at.astimezone(zone).hour < 20


@given(start=st.one_of(instants, around_clock_changes), zone=st.sampled_from(ZONES))
def test_a_reminder_is_never_later_than_its_rule_says_and_at_most_a_night_earlier(start, zone):
    made = event(start=start, time=start - timedelta(days=60))
    rules = {rule.name: rule for rule in REMINDER_RULES}
    for message in planned(made, zone=zone).messages[1:]:
        rule = rules[message.rule]
        # The hour that a clock change gives or takes, and the longest night: 19:30 to 8:00.
        nominal = start - timedelta(days=rule.days, hours=rule.hours)
        assert nominal - timedelta(hours=13, minutes=30) <= message.due_at <= nominal + timedelta(hours=1)


@given(st.sampled_from(list(Change)), st.sampled_from(list(Change)), instants)
def test_planning_is_repeatable(change, before, now):
    made = replace(event(change), previous_start=START if change is Change.MOVED else None)
    known = appointment(status="pending" if before is Change.HELD else "booked")
    assert planned(made, known=known, now=now) == planned(made, known=known, now=now)
