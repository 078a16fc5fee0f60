"""Days and hours are written as people write them, and no two instants alike."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.spoken_time import Language, day, hour, moment

PARIS = ZoneInfo("Europe/Paris")
LOCALES: dict[Language, str] = {"fr": "fr_FR", "en": "en_GB"}


@given(st.dates())
def test_a_day_is_written_as_unicode_s_locales_write_it(of: date) -> None:
    for language, locale in LOCALES.items():
        written = format_date(of, "EEEE d MMMM y", locale=locale)
        if language == "fr" and of.day == 1:
            written = written.replace(" 1 ", " 1er ", 1)
        assert day(of, language, year=True) == written
        assert day(of, language) == written.rpartition(" ")[0]
        assert day(of, language, weekday=False, year=True) == written.partition(" ")[2]


@pytest.mark.parametrize(
    ("of", "french", "english"),
    [
        (time(0, 0), "0\u00a0h", "12:00\u00a0am"),
        (time(9, 5), "9\u00a0h\u00a005", "9:05\u00a0am"),
        (time(12, 0), "12\u00a0h", "12:00\u00a0pm"),
        (time(23, 59), "23\u00a0h\u00a059", "11:59\u00a0pm"),
    ],
)
def test_an_hour_is_written_as_it_is_said(of: time, french: str, english: str) -> None:
    assert (hour(of, "fr"), hour(of, "en")) == (french, english)


@pytest.mark.parametrize(
    ("instant", "zone", "french", "english"),
    [
        ("2027-10-31T00:30Z", "Europe/Paris", "2\u00a0h\u00a030 (heure d'été)", "2:30\u00a0am (summer time)"),
        ("2027-10-31T01:30Z", "Europe/Paris", "2\u00a0h\u00a030 (heure d'hiver)", "2:30\u00a0am (winter time)"),
        ("2027-11-07T03:15Z", "America/Miquelon", "1\u00a0h\u00a015 (heure d'été)", "1:15\u00a0am (summer time)"),
        ("2027-10-31T02:00Z", "Europe/Paris", "3\u00a0h", "3:00\u00a0am"),
        ("2027-03-28T01:30Z", "Europe/Paris", "3\u00a0h\u00a030", "3:30\u00a0am"),
        ("2027-10-31T00:30Z", "Indian/Reunion", "4\u00a0h\u00a030", "4:30\u00a0am"),
    ],
)  # fmt: skip
def test_an_hour_that_comes_twice_says_which(instant: str, zone: str, french: str, english: str) -> None:
    local = datetime.fromisoformat(instant).astimezone(ZoneInfo(zone))
    assert (hour(local, "fr"), hour(local, "en")) == (french, english)
    assert moment(local, "fr").endswith(f" à {french}")


def test_no_two_minutes_of_the_nights_of_change_are_written_alike() -> None:
    for start in (datetime(2027, 10, 30, 20, tzinfo=UTC), datetime(2027, 3, 27, 20, tzinfo=UTC)):
        minutes = [(start + timedelta(minutes=n)).astimezone(PARIS) for n in range(600)]
        for language in LOCALES:
            assert len({moment(local, language) for local in minutes}) == len(minutes)


def test_a_moment_names_its_year_when_asked() -> None:
    local = datetime(2026, 12, 1, 9, tzinfo=UTC).astimezone(PARIS)
    assert moment(local, "fr") == "mardi 1er décembre à 10\u00a0h"
    assert moment(local, "en", year=True) == "Tuesday 1 December 2026 at 10:00\u00a0am"
