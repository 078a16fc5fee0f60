"""What is as long, as far or as heavy is found as such, in whichever unit it was written."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.fhir.search.quantities import in_common_unit

EQUAL = [
    [(1, "wk"), (7, "d"), (168, "h"), (10_080, "min")],
    [(1, "a"), (12, "mo"), (Decimal("365.25"), "d"), (525_960, "min")],
    [(18, "a"), (216, "mo"), (Decimal("18.0"), "a")],
    [(5, "a"), (60, "mo")],
    [(3, "km"), (3_000, "m"), (300_000, "cm"), (3_000_000, "mm")],
    [(2, "t"), (2_000, "kg"), (2_000_000, "g")],
]
UNITS = ("a", "mo", "wk", "d", "h", "min")


@pytest.mark.parametrize("same", EQUAL, ids=lambda same: str(same[0]))
def test_the_same_in_every_unit_is_the_same(same: list[tuple[Decimal, str]]) -> None:
    """Seven days are no more than a week, nor less."""
    assert len({in_common_unit(Decimal(number), "", unit) for number, unit in same}) == 1


@given(st.integers(0, 10_000), st.sampled_from(list(pairwise(UNITS))))
def test_a_multiple_is_the_same_however_many(count: int, units: tuple[str, str]) -> None:
    larger, smaller = units
    times = {"a": 12, "wk": 7, "d": 24, "h": 60}.get(larger)
    if times is not None:
        assert in_common_unit(Decimal(count), "", larger) == in_common_unit(
            Decimal(count * times), "", smaller
        )


def test_a_unit_that_nobody_knows_keeps_its_digits() -> None:
    number = Decimal("1.2345678901234567890123456789")
    assert in_common_unit(number, "urn:x", "EUR") == ("urn:x|EUR", number)
