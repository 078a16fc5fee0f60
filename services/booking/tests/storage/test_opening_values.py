"""Single values of what an agenda states: read, or said to be unreadable."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from creneau_booking.storage.openings.values import UnreadError, lasts


def test_a_length_is_read() -> None:
    assert lasts({"value": Decimal("1.5"), "code": "h"}, "valueDuration") == timedelta(minutes=90)


@pytest.mark.parametrize("value", ["1E+40", "1E-40", "0.5", "-1"])
def test_a_length_that_no_service_has_is_unread(value: str) -> None:
    """Whatever number is sent: also one of more digits than are computed with."""
    with pytest.raises(UnreadError) as unread:
        lasts({"value": Decimal(value), "code": "min"}, "valueDuration")
    assert unread.value.fault == "duration"
