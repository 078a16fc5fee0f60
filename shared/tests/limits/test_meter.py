"""An answer that grows is counted as it grows."""

from __future__ import annotations

import pytest

from creneau_shared.errors import TooLarge, TooManyRequests
from creneau_shared.fhir.rest.bounds import BundleAnswers
from creneau_shared.limits.callers import Counted, Limit
from creneau_shared.limits.costs import ANSWER_BYTES_A_UNIT
from creneau_shared.limits.leases import Limiter
from creneau_shared.limits.meter import Meter, uncounted

SOME = ANSWER_BYTES_A_UNIT // 2


def meter(burst: int) -> Meter:
    """The meter of somebody who has so many units and gets no more while the test runs."""
    return Meter(Limiter(), (Counted(b"camille", Limit("patient", per_s=0.000_001, burst=burst)),))


async def test_answers_count_together_and_once() -> None:
    """Each of them is free alone; the whole, told at the end, costs what it has beyond them."""
    counting = meter(burst=10)
    answers = BundleAnswers(1_000_000_000, counting)
    for _ in range(8):
        answers.add(b"x" * SOME)
    assert counting.charged == 4
    counting.answered(9 * SOME)
    assert counting.charged == 4
    counting.answered(10 * SOME)
    assert counting.charged == 5


async def test_who_owes_is_given_no_further_answers() -> None:
    answers = BundleAnswers(1_000_000_000, meter(burst=4))
    answers.add(b"x" * 8 * SOME)
    await answers.require_paid()
    answers.add(b"x" * 2 * SOME)
    with pytest.raises(TooManyRequests):
        await answers.require_paid()


async def test_nobody_is_given_more_than_a_bundle_may_have() -> None:
    answers = BundleAnswers(SOME, uncounted())
    await answers.require_paid()
    answers.add(b"x" * SOME)
    with pytest.raises(TooLarge):
        await answers.require_paid()
