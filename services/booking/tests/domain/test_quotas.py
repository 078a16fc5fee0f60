"""Quotas: what reaches them, and what a person is told."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from services.booking.tests.domain.facts import NOW, some_quotas
from services.booking.tests.telling import in_words

from creneau_booking.domain import quotas
from creneau_booking.domain.quotas import Actions, Upcoming
from creneau_shared.errors import TooManyRequests, Unprocessable

MINUTE = timedelta(minutes=1)
Q = some_quotas()


def lately(count: int) -> tuple[datetime, ...]:
    """So many instants, a minute apart, the last one now."""
    return tuple(NOW - n * MINUTE for n in range(count))


NOTHING = Actions()


def rate(account: Actions, patient: Actions = NOTHING, *, counsellor: bool = False) -> TooManyRequests | None:
    """The refusal of an act, which is counted in these already; None: it is allowed."""
    try:
        with in_words():
            quotas.require_rate(Q, account, patient, NOW, counsellor=counsellor)
    except TooManyRequests as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("kind", "most", "expected"),
    [("booked", 5, "too-many-bookings"), ("held", 7, "too-many-holds-begun")],
)
def test_an_account_by_the_hour(kind: str, most: int, expected: str) -> None:
    """The act that reaches the number is the last; the next one is refused, with the number and the wait."""
    assert rate(Actions(**{kind: lately(most)})) is None
    refused = rate(Actions(**{kind: lately(most + 1)}))
    assert refused is not None
    issue = refused.issues[0]
    assert issue.details_code == expected
    assert f"{most} " in issue.fr
    assert f"{most} " in issue.en
    assert refused.headers["Retry-After"] == str((60 - most) * 60)
    assert f"{60 - most} minutes" in issue.fr


def test_a_patient_by_the_hour_whoever_books() -> None:
    assert rate(Actions(booked=lately(1)), Actions(booked=lately(3))) is None
    refused = rate(Actions(booked=lately(1)), Actions(booked=lately(4)))
    assert refused is not None
    assert refused.issues[0].details_code == "too-many-bookings"


def test_a_counsellor_only_by_their_own_hour() -> None:
    many = Actions(booked=lately(8), held=lately(20))
    assert rate(many, Actions(booked=lately(20)), counsellor=True) is None
    assert rate(Actions(booked=lately(9)), counsellor=True) is not None


def test_who_has_cancelled_enough_books_no_more() -> None:
    quotas.require_few_cancellations(Q, Actions(cancelled=lately(3)), NOW)
    with pytest.raises(TooManyRequests) as refused, in_words():
        quotas.require_few_cancellations(Q, Actions(cancelled=lately(4)), NOW)
    assert "4 rendez-vous en un jour" in refused.value.issues[0].fr
    assert int(refused.value.headers["Retry-After"]) == 86400 - 3 * 60


def to_come(*of: tuple[str, str]) -> list[Upcoming]:
    return [Upcoming(frozenset({agenda}), frozenset({specialty})) for agenda, specialty in of]


@pytest.mark.parametrize(
    ("upcoming", "own", "expected"),
    [
        (to_come(("a", "s")), None, None),
        (to_come(("a", "s"), ("a", "s")), None, "too-many-appointments"),
        (to_come(("a", "s"), ("a", "s")), 3, None),
        (to_come(("a", "t")), 1, "too-many-appointments"),
        (to_come(*[(f"b{n}", "s") for n in range(4)]), None, "too-many-in-specialty"),
        (to_come(*[(f"b{n}", "t") for n in range(5)]), None, None),
        (to_come(*[(f"b{n}", "t") for n in range(6)]), None, "too-many-appointments-to-come"),
    ],
)
def test_room_to_come(upcoming: list[Upcoming], own: int | None, expected: str | None) -> None:
    """In the agenda `a` (which says `own`), of the speciality `s`."""
    assert room(upcoming, own) == expected


def room(upcoming: list[Upcoming], own: int | None) -> str | None:
    try:
        with in_words():
            quotas.require_room_to_come(Q, upcoming, {"a": own}, frozenset({"s"}), counsellor=False)
    except Unprocessable as refused:
        return refused.issues[0].details_code
    return None


def test_requests_and_people() -> None:
    quotas.require_few_requests(Q, 1, 4)
    quotas.require_few_patients(Q, 3, Actions(registered=lately(3)))
    with pytest.raises(Unprocessable, match="This patient has 2 requests waiting"), in_words():
        quotas.require_few_requests(Q, 2, 4)
    with pytest.raises(Unprocessable, match="The people of this account have 5 requests waiting"), in_words():
        quotas.require_few_requests(Q, 1, 5)
    for linked, registered in ((4, 3), (3, 4)):
        with pytest.raises(Unprocessable, match="3 people"), in_words():
            quotas.require_few_patients(Q, linked, Actions(registered=lately(registered)))
