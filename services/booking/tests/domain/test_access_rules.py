"""The practice's rules on online booking: windows in local time, notice, ages, whom they come from."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.booking.tests.domain.facts import some_quotas
from services.booking.tests.telling import in_words

from creneau_booking.domain import access_rules as rules
from creneau_booking.domain.access_rules import AccessRules, AgeLimit, AgendaRules, Birth, BookingWindow
from creneau_booking.domain.quotas import Upcoming, require_room_to_come
from creneau_booking.domain.times import later
from creneau_booking.words.phrases import months_in_words, time_in_words
from creneau_shared.errors import Unprocessable

PARIS = ZoneInfo("Europe/Paris")
ZONES = st.sampled_from(
    [
        ZoneInfo(name)
        for name in (
            "Europe/Paris",
            "America/Miquelon",
            "America/Cayenne",
            "Indian/Reunion",
            "Pacific/Noumea",
            "Pacific/Tahiti",
        )
    ]
)
MOMENTS = st.integers(0, 4 * 365 * 86_400).map(
    lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)
WINDOWS = st.builds(BookingWindow, st.integers(0, 400), st.times().map(lambda t: t.replace(microsecond=0)))
DAYS = st.dates(date(1900, 1, 1), date(2030, 12, 31))


def agenda(zone: ZoneInfo = PARIS, **limits: object) -> AgendaRules:
    return AgendaRules("a", AccessRules(**limits), zone)  # type: ignore[arg-type]


def refused(call: object, *arguments: object) -> Unprocessable:
    with pytest.raises(Unprocessable) as refusal, in_words():
        call(*arguments)  # type: ignore[operator]
    return refusal.value


# -- booking window ----------------------------------------------------------------------------------------------


@given(WINDOWS, MOMENTS, ZONES)
def test_a_day_opens_at_its_local_hour_whole_days_before(
    window: BookingWindow, start: datetime, zone: ZoneInfo
) -> None:
    """Whatever clock changes lie between: the local date is `days` before, the clock shows the opening hour."""
    opening = rules.opens(window, start, zone).astimezone(zone)
    day = start.astimezone(zone).date() - timedelta(days=window.days)
    if opening.replace(tzinfo=None) != datetime.combine(day, window.opens_at):
        # The clock leapt over that hour: nothing opens before the leap, and all by an hour after it.
        leap = opening.replace(tzinfo=None) - datetime.combine(day, window.opens_at)
        assert timedelta(0) < leap <= timedelta(hours=1)
        assert (
            opening.utcoffset() != (opening - timedelta(hours=2)).astimezone(UTC).astimezone(zone).utcoffset()
        )


@given(WINDOWS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=3)), ZONES)
def test_what_starts_later_never_opens_earlier(
    window: BookingWindow, start: datetime, later: timedelta, zone: ZoneInfo
) -> None:
    assert rules.opens(window, start, zone) <= rules.opens(window, start + later, zone)


@given(WINDOWS, MOMENTS, ZONES)
def test_the_slots_of_one_local_day_open_together(
    window: BookingWindow, start: datetime, zone: ZoneInfo
) -> None:
    noon = start.astimezone(zone).replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
    assert rules.opens(window, start, zone) == rules.opens(window, noon, zone)


@pytest.mark.parametrize(
    ("start", "opening"),
    [
        ("2026-04-05T09:00:00+02:00", "2026-03-22T08:00:00+01:00"),  # the clocks go forward in between
        ("2026-11-01T09:00:00+01:00", "2026-10-18T08:00:00+02:00"),  # and back
        ("2026-06-20T00:00:00+02:00", "2026-06-06T08:00:00+02:00"),
    ],
)
def test_fourteen_days_ahead_at_eight_in_paris(start: str, opening: str) -> None:
    window = BookingWindow(14, time(8))
    assert rules.opens(window, datetime.fromisoformat(start), PARIS) == datetime.fromisoformat(opening)


@pytest.mark.parametrize(
    ("day", "instant"),
    [("2026-03-29", "2026-03-29T03:30:00+02:00"), ("2026-10-25", "2026-10-25T02:30:00+01:00")],
)
def test_an_hour_that_does_not_exist_or_exists_twice(day: str, instant: str) -> None:
    """As PostgreSQL reads it: shifted on by the leap; the second of two."""
    moment = rules.local_instant(date.fromisoformat(day), time(2, 30), PARIS)
    assert moment == datetime.fromisoformat(instant)


def test_the_refusal_says_when_the_slot_opens() -> None:
    start = datetime(2026, 12, 20, 9, tzinfo=UTC)
    one = agenda(ZoneInfo("Indian/Reunion"), window=BookingWindow(7, time(8)))
    opening = rules.opens(BookingWindow(7, time(8)), start, one.zone)
    issue = refused(rules.require_open, one, start, opening - timedelta(seconds=1)).issues[0]
    assert (issue.details_code, issue.expression) == ("not-open-yet", ("Appointment.slot",))
    assert "2026-12-13 08:00 (Indian/Reunion)" in issue.fr
    assert "7 jours à l'avance" in issue.fr
    assert "7 days ahead" in issue.en
    rules.require_open(one, start, opening)


# -- notice and deadline -----------------------------------------------------------------------------------------


@given(st.integers(0, 20_000), MOMENTS, st.integers(-20_000, 20_000))
def test_notice_is_elapsed_time_to_the_second(minutes: int, start: datetime, seconds: int) -> None:
    notice = timedelta(minutes=minutes)
    now = start - notice + timedelta(seconds=seconds)
    one = agenda(minimum_notice=notice)
    if seconds <= 0:
        rules.require_open(one, start, now)
    else:
        assert refused(rules.require_open, one, start, now).issues[0].details_code == "notice-too-short"


def test_a_patient_changes_until_the_deadline() -> None:
    start = datetime(2026, 12, 20, 9, tzinfo=UTC)
    one = agenda(change_deadline=timedelta(hours=24))
    rules.require_changeable(one, start, start - timedelta(hours=24))
    issue = refused(rules.require_changeable, one, start, start - timedelta(hours=23)).issues[0]
    assert (issue.details_code, "1 jour" in issue.fr) == ("change-too-late", True)


# -- ages --------------------------------------------------------------------------------------------------------


def test_at_the_end_of_the_calendar_local_time_and_months_stop() -> None:
    """West of UTC the last day ends after the calendar, east of it the first one begins before."""
    last = rules.local_instant(date.max, time(23), ZoneInfo("Pacific/Tahiti"))
    first = rules.local_instant(date.min, time(0), PARIS)
    for moment in (first, last):
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            assert moment.astimezone(ZoneInfo(zone))
    assert (first.year, last.year) == (1, 9999)
    assert later(last, timedelta(days=8)) == later(last, timedelta.max) == last
    assert rules.months_later(date(9982, 1, 1), 18 * 12) == date.max


@given(DAYS, st.integers(0, 1800))
def test_months_later_is_the_same_day_or_the_last_of_a_shorter_month(day: date, months: int) -> None:
    later = rules.months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


@given(DAYS, st.integers(0, 120), st.integers(0, 60))
def test_a_range_of_years_holds_both_its_ends(birth: date, low: int, more: int) -> None:
    """0–16: from the day of birth until the eve of the 17th birthday."""
    age = AgeLimit(low * 12, (low + more + 1) * 12)
    first = rules.months_later(birth, low * 12)
    last = rules.months_later(birth, (low + more + 1) * 12)
    born = Birth(birth, birth)
    assert rules.fits(age, born, first)
    assert rules.fits(age, born, last - timedelta(days=1))
    assert not rules.fits(age, born, last)
    assert not rules.fits(age, born, first - timedelta(days=1))


@given(st.integers(1950, 2020), DAYS, st.integers(0, 400), st.integers(1, 400))
def test_a_partial_birth_date_fits_if_one_of_its_days_does(year: int, day: date, low: int, more: int) -> None:
    age = AgeLimit(low, low + more)
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    days += [date(year, 12, 31)]
    possible = any(rules.fits(age, Birth(born, born), day) for born in days)
    assert rules.fits(age, Birth(date(year, 1, 1), date(year, 12, 31)), day) == possible


def test_an_age_counts_on_the_local_day_of_the_appointment() -> None:
    """At midnight in Paris it is still the eve of the birthday in Cayenne."""
    start = datetime(2026, 12, 2, 0, 30, tzinfo=UTC)
    birth = Birth(date(2009, 12, 2), date(2009, 12, 2))
    child = AgeLimit(0, 17 * 12)
    rules.require_age(agenda(ZoneInfo("America/Cayenne"), age=child), birth, start)
    issue = refused(rules.require_age, agenda(age=child), birth, start).issues[0]
    assert (issue.details_code, issue.expression) == ("age-outside-limit", ("Appointment.participant",))
    assert "de moins de 17 ans" in issue.fr


def test_an_unknown_birth_date_is_asked_for_only_where_it_matters() -> None:
    start = datetime(2026, 12, 2, 9, tzinfo=UTC)
    rules.require_age(agenda(), None, start)
    issue = refused(rules.require_age, agenda(age=AgeLimit(180)), None, start).issues[0]
    assert (issue.details_code, "à partir de 15 ans" in issue.fr) == ("birthdate-unknown", True)


# -- number ------------------------------------------------------------------------------------------------------


def test_at_most_so_many_to_come() -> None:
    """What an agenda says itself holds for everybody who acts for a patient, a counsellor too."""
    have_room(2, 1)
    have_room(None, 99)
    assert refused(have_room, 2, 2).issues[0].details_code == "too-many-appointments"


def have_room(most: int | None, to_come: int) -> None:
    """One more in an agenda that allows so many, for who has so many there."""
    upcoming = [Upcoming(frozenset({"a"}), frozenset())] * to_come
    require_room_to_come(some_quotas(), upcoming, {"a": most}, frozenset(), counsellor=True)


# -- where rules come from ---------------------------------------------------------------------------------------

RULES = st.builds(
    AccessRules,
    st.none() | st.timedeltas(timedelta(0), timedelta(days=30)),
    st.none() | WINDOWS,
    st.none() | st.builds(AgeLimit, st.integers(0, 300), st.none() | st.integers(301, 900)),
    st.none() | st.integers(1, 9),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=30)),
)


@given(RULES, RULES)
def test_an_agenda_overrides_its_offer_rule_by_rule(own: AccessRules, offer: AccessRules) -> None:
    merged = own.over(offer)
    for name in ("minimum_notice", "window", "age", "appointments_max", "change_deadline"):
        said = getattr(own, name)
        assert getattr(merged, name) == (getattr(offer, name) if said is None else said)


@given(st.lists(RULES, max_size=3), MOMENTS, st.integers(-40, 1), ZONES, DAYS, st.integers(0, 9))
def test_of_several_offers_what_all_of_them_allow(
    several: list[AccessRules], start: datetime, days: int, zone: ZoneInfo, birth: date, held: int
) -> None:
    now = start + timedelta(days=days)

    def allows(one: AccessRules) -> bool:
        both = AgendaRules("a", one, zone)
        try:
            with in_words():
                rules.require_open(both, start, now)
                rules.require_age(both, Birth(birth, birth), start)
                have_room(one.appointments_max, held)
                rules.require_changeable(both, start, now)
        except Unprocessable:
            return False
        return True

    assert allows(rules.strictest(several)) == all(allows(one) for one in several)


# -- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, ("0 minute", "0 minutes")),
        (1, ("1 minute", "1 minute")),
        (90, ("90 minutes", "90 minutes")),
        (120, ("2 heures", "2 hours")),
        (2880, ("2 jours", "2 days")),
    ],
)
def test_durations_in_words(minutes: int, words: tuple[str, str]) -> None:
    assert time_in_words(timedelta(minutes=minutes)) == words


@pytest.mark.parametrize(
    ("months", "words"),
    [
        (6, ("6 mois", "6 months")),
        (12, ("1 an", "1 year")),
        (183, ("15 ans et 3 mois", "15 years and 3 months")),
    ],
)
def test_ages_in_words(months: int, words: tuple[str, str]) -> None:
    assert months_in_words(months) == words
