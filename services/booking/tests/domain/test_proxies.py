"""Majority by the civil day in France, whatever is known of a birth; and what each relationship lets somebody do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from services.booking.tests.telling import in_words

from creneau_booking.domain.access_rules import Birth
from creneau_booking.domain.proxies import (
    EVERYTHING,
    PARENTS,
    SCOPES,
    Person,
    Proxy,
    end_of_minority,
    is_minor,
    majority,
    majority_ending,
    require_may_decide,
    same_person,
)
from creneau_shared.errors import Forbidden

PARIS = ZoneInfo("Europe/Paris")
DAYS = [date(2004, 1, 1) + timedelta(days=n) for n in range(1500)]


def born(first: date, last: date | None = None) -> Birth:
    return Birth(first, last or first)


def proxy(*relationships: str, scopes: frozenset[str] = frozenset(), until: datetime | None = None) -> Proxy:
    return Proxy("1", frozenset(relationships), scopes, None, until)


@pytest.mark.parametrize(
    ("birth", "of_age"),
    [
        (born(date(2008, 12, 1)), date(2026, 12, 1)),
        (born(date(2008, 2, 29)), date(2026, 2, 28)),
        (born(date(2010, 2, 28)), date(2028, 2, 28)),
        (born(date(2008, 3, 1), date(2008, 3, 31)), date(2026, 3, 31)),
        (born(date(2008, 1, 1), date(2008, 12, 31)), date(2026, 12, 31)),
    ],
    ids=["a day", "29 February", "28 February", "a month", "a year"],
)
def test_majority(birth: Birth, of_age: date) -> None:
    """A birth that is known by its month or year counts from the latest day that it can be."""
    assert majority(birth) == of_age


@pytest.mark.parametrize("day", [*DAYS[::7], date(2004, 2, 29), date(2008, 2, 29)])
def test_minority_ends_at_one_instant(day: date) -> None:
    """Until a moment before it somebody is a minor, from it on they are not: across clock changes too."""
    birth = born(day)
    end = end_of_minority(birth)
    assert is_minor(birth, end - timedelta(microseconds=1))
    assert not is_minor(birth, end)
    assert end.astimezone(PARIS).time() == datetime.min.time()
    assert is_minor(born(day - timedelta(days=30), day), end - timedelta(microseconds=1))


def test_whose_birth_is_unknown_is_not_known_to_be_a_minor() -> None:
    assert not is_minor(None, datetime(2026, 11, 16, tzinfo=UTC))
    assert majority_ending(proxy("PRN"), None, datetime(2026, 11, 16, tzinfo=UTC)) is None


@pytest.mark.parametrize("relationship", sorted(PARENTS))
def test_no_period_of_a_parent_reaches_beyond_majority(relationship: str) -> None:
    birth, now = born(date(2019, 5, 4)), datetime(2026, 11, 16, tzinfo=UTC)
    end = end_of_minority(birth)
    for until in (None, end, end + timedelta(seconds=1), datetime(2999, 1, 1, tzinfo=UTC)):
        assert majority_ending(proxy(relationship, until=until), birth, now) == end
    earlier = end - timedelta(seconds=1)
    assert majority_ending(proxy(relationship, until=earlier), birth, now) is None, "it says itself"
    assert majority_ending(proxy(relationship), birth, end) is None, "of age: like anybody else's"


def test_what_a_parent_states_for_a_child_ends_with_their_own_word() -> None:
    """But for the child's own account; what others state has no end of ours."""
    birth, now = born(date(2019, 5, 4)), datetime(2026, 11, 16, tzinfo=UTC)
    assert majority_ending(proxy("CAREGIVER"), birth, now, by_parent=True) == end_of_minority(birth)
    assert majority_ending(proxy("ONESELF"), birth, now, by_parent=True) is None
    assert majority_ending(proxy("CAREGIVER"), birth, now) is None
    assert majority_ending(proxy("CAREGIVER"), birth, end_of_minority(birth), by_parent=True) is None


def test_what_relationships_mean() -> None:
    """Parents answer for minors only; whoever is given less has less; whoever is given nothing sees."""
    for minor in (False, True):
        assert proxy("GUARD").may(minor=minor) == EVERYTHING
        assert proxy("ONESELF", scopes=frozenset({"see"})).may(minor=minor) == EVERYTHING
        assert proxy("SPS").may(minor=minor) == {"see"}
        assert proxy("SPS", scopes=frozenset(SCOPES)).may(minor=minor) == set(SCOPES)
        assert proxy("PRN", scopes=frozenset({"book"})).may(minor=minor) == {"see", "book"}
    assert proxy("PRN").may(minor=True) == EVERYTHING
    assert proxy("PRN").may(minor=False) == {"see"}


@pytest.mark.parametrize("relationship", ["PRN", "GUARD", "POWATT"])
def test_who_answers_for_a_minor_may_what_is_stated_and_no_more(relationship: str) -> None:
    """Somebody who lets a grandmother book, cancel and see under a mandate has not let her decide who else does. All four
    scopes stated are what a parent who registers a child states: everything."""
    for stated in ({"see", "book", "cancel"}, {"see", "book", "register"}, {"register"}):
        may = proxy(relationship, scopes=frozenset(stated)).may(minor=True)
        assert may == stated | {"see"}
    assert proxy(relationship, scopes=frozenset(SCOPES)).may(minor=True) == EVERYTHING


def test_who_decides() -> None:
    """Nobody decides anything without `manage`; nobody but the person decides of an account that is theirs; nobody
    online decides of a guardian."""
    kinds = ("SPS", "PRN", "GUARD", "ONESELF")
    for kind, (minor, has_account, manages, is_person) in product(kinds, product((False, True), repeat=4)):
        allowed = manages
        allowed &= not (kind == "ONESELF" and has_account and not is_person)
        allowed &= kind != "GUARD"
        allowed &= not (kind == "PRN" and minor and is_person)
        try:
            with in_words():
                require_may_decide(
                    frozenset({kind}), Person(minor, has_account), manages=manages, is_person=is_person
                )
        except Forbidden:
            assert not allowed, (kind, minor, has_account, manages, is_person)
        else:
            assert allowed, (kind, minor, has_account, manages, is_person)


def test_same_person() -> None:
    year = born(date(2010, 1, 1), date(2010, 12, 31))
    assert same_person(None, year)
    assert same_person(born(date(2010, 5, 4)), year)
    assert not same_person(born(date(1984, 2, 3)), year)
