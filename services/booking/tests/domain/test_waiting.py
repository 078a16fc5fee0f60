"""The waiting list's rules: until when an offer is kept, in which order people wait."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creneau_booking.domain.waiting import AnswerTime, Wish, rank_of
from creneau_booking.settings import BookingSettings

PARIS = ZoneInfo("Europe/Paris")
RULES = AnswerTime(
    share=0.1,
    least=timedelta(minutes=30),
    most=timedelta(hours=12),
    before_start=timedelta(hours=1),
    quiet_from=time(BookingSettings.model_fields["waiting_quiet_from_h"].default),
    quiet_until=time(BookingSettings.model_fields["waiting_quiet_until_h"].default),
)


def paris(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=PARIS).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "start", "until"),
    [
        (paris(16, 9), paris(26, 9), paris(17, 9)),  # far away: the most
        (paris(16, 9), paris(18, 9), paris(16, 13, 48)),  # a tenth of two days
        (paris(16, 9), paris(16, 12), paris(16, 9, 30)),  # near: the least
        (paris(16, 19), paris(18, 7), paris(17, 10, 36)),  # one hour of the evening, the rest in the morning
        (paris(16, 23), paris(18, 23), paris(17, 12, 48)),  # nobody is woken
        (paris(16, 9), paris(16, 10, 15), None),  # too near to be offered to anybody
        (paris(16, 22), paris(17, 9, 15), None),  # whoever sleeps could not answer
        (paris(16, 22), paris(17, 9, 30), paris(17, 8, 30)),  # whoever wakes can
        (paris(16, 20, 31), paris(17, 9, 2), None),  # a text would come at eight, two minutes before the end
        (
            paris(24, 19, 30, month=10),
            paris(26, 11, month=10),
            paris(25, 11, 33, month=10),
        ),  # the clock goes back
    ],
)
def test_until_when_an_offer_is_kept(now: datetime, start: datetime, until: datetime | None) -> None:
    assert RULES.until(now, start, PARIS) == until


@given(
    st.integers(0, 365 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.timedeltas(timedelta(0), timedelta(days=60)),
    st.sampled_from([PARIS, ZoneInfo("Pacific/Noumea"), ZoneInfo("America/Miquelon")]),
)
@settings(max_examples=60)
def test_an_offer_leaves_time_to_answer_and_to_come(now: datetime, left: timedelta, zone: ZoneInfo) -> None:
    """Whenever one is made: it ends by day, no sooner than the least, and before the visit as far as it must."""
    start = now + left
    until = RULES.until(now, start, zone)
    if until is None:
        assert left < timedelta(days=1)
        return
    assert now + RULES.least <= until <= start - RULES.before_start
    local = until.astimezone(zone).time()
    assert RULES.quiet_until < local <= RULES.quiet_from


def test_without_quiet_hours_time_is_time() -> None:
    always = AnswerTime(0.1, timedelta(minutes=1), timedelta(days=9), timedelta(0), time(0), time(0))
    now = paris(16, 22)
    assert always.until(now, now + timedelta(days=30), PARIS) == now + timedelta(days=3)


def test_who_comes_first_is_the_practices_word() -> None:
    """1 is highest, 9 lowest, nothing and 0 in the middle."""
    assert sorted([9, 0, 1, None, 4, 6, 12], key=rank_of) == [1, 4, 0, None, 6, 9, 12]


def test_a_wish_is_over_once_nothing_of_its_time_is_to_come() -> None:
    """Whenever will do is never over; a period that ends before it begins is none."""
    now = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
    day = timedelta(days=1)
    past, to_come, none = (now - 2 * day, now), (None, now + day), (now + 2 * day, now + day)
    for periods, over in (
        ((), False),
        ((past,), True),
        ((past, to_come), False),
        ((past, none), True),
        (((now - day, None),), False),
        ((to_come,), False),
    ):
        assert Wish(periods=periods).is_over(now) is over, periods
