"""How free times are asked for by when somebody would like to come."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from creneau_web.care.when import asked_by

PARIS, PAPEETE = ZoneInfo("Europe/Paris"), ZoneInfo("Pacific/Tahiti")
NOW = datetime(2026, 10, 24, 8, tzinfo=UTC)
"""A Saturday; the clocks go back in the night that follows"""


@pytest.mark.parametrize(
    ("wishes", "asked"),
    [
        ((), []),
        (("night", "soon"), []),
        (("tuesday", "morning"), [("days", "tue"), ("times", "morning")]),
        (("weekend",), [("days", "sat,sun")]),
        (("monday", "friday"), [("days", "mon,fri")]),
        (("noon",), [("times", "12:00-14:00")]),
        (
            ("today", "evening"),
            [
                ("times", "evening"),
                ("after", "2026-10-24T08:00:00+00:00"),
                ("before", "2026-10-25T00:00:00+02:00"),
            ],
        ),
        (("tomorrow",), [("after", "2026-10-25T00:00:00+02:00"), ("before", "2026-10-26T00:00:00+01:00")]),
        (
            ("today", "tomorrow"),
            [("after", "2026-10-24T08:00:00+00:00"), ("before", "2026-10-26T00:00:00+01:00")],
        ),
    ],
)
def test_what_is_asked_for(wishes: tuple[str, ...], asked: list[tuple[str, str]]) -> None:
    assert asked_by(wishes, NOW, PARIS) == asked


def test_tomorrow_is_that_of_the_professionals() -> None:
    """It is Friday evening in Papeete."""
    asked = dict(asked_by(("tomorrow",), NOW, PAPEETE))
    assert asked == {"after": "2026-10-24T00:00:00-10:00", "before": "2026-10-25T00:00:00-10:00"}
