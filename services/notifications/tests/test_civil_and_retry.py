"""Civil hours at sending time, and the retry policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from creneau_notifications.domain.civil import civil_after, is_civil
from creneau_notifications.domain.retry import RetryPolicy

from .factories import instants

CAYENNE = ZoneInfo("America/Cayenne")
NOW = datetime(2026, 11, 16, 10, 0, tzinfo=UTC)


def test_eight_is_civil_and_twenty_is_not():
    assert is_civil(datetime(2026, 12, 1, 8, 0, tzinfo=CAYENNE), CAYENNE)
    assert not is_civil(datetime(2026, 12, 1, 20, 0, tzinfo=CAYENNE), CAYENNE)


@given(instants, st.sampled_from(["Europe/Paris", "Pacific/Tahiti", "America/Miquelon"]))
def test_the_next_civil_instant_is_civil_and_within_twelve_hours_and_a_clock_change(instant, zone_name):
    zone = ZoneInfo(zone_name)
    civil = civil_after(instant, zone)
    assert is_civil(civil, zone)
    assert timedelta(0) <= civil - instant <= timedelta(hours=13)


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_delays_grow_within_their_bounds_and_never_reach_the_deadline(attempts, chance):
    policy, deadline = RetryPolicy(attempts_max=100), NOW + timedelta(days=1)
    moment = policy.next_attempt(attempts, attempts, NOW, deadline, lambda: chance)
    if attempts >= 100:
        assert moment is None
    else:
        assert moment is not None
        assert timedelta(seconds=12) <= moment - NOW <= timedelta(hours=1.2)


def test_delays_double():
    policy = RetryPolicy()
    delays = [policy.next_attempt(n, n, NOW, NOW + timedelta(days=1), lambda: 0.5) for n in range(1, 5)]
    assert [(moment - NOW).total_seconds() for moment in delays if moment] == [15, 30, 60, 120]


def test_an_attempt_that_would_come_too_late_is_not_made():
    assert RetryPolicy().next_attempt(1, 1, NOW, NOW + timedelta(seconds=15), lambda: 0.5) is None


def test_tries_that_count_nothing_go_on_as_long_as_the_message_is_of_use():
    after = RetryPolicy().next_attempt(500, 29, NOW, NOW + timedelta(days=9), lambda: 0.5)
    assert after == NOW + timedelta(hours=1)
