"""Until when a patient may cancel and move, as instants that agree with what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.domain.facts import LENGTH, NINE, an_appointment, people
from services.booking.tests.telling import in_words

from creneau_booking.domain.access_rules import AccessRules, AgendaRules, require_changeable
from creneau_booking.domain.deadlines import NEVER, Deadlines, deadlines_of
from creneau_shared.clock import PARIS
from creneau_shared.errors import Unprocessable

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
BOOKED = {"start": NINE, "end": NINE + LENGTH}


def test_the_strictest_agenda_decides_and_to_the_second() -> None:
    """What is said is what `require_changeable` refuses one second later."""
    deadlines = [4 * HOUR, 24 * HOUR]
    until = deadlines_of(an_appointment(**BOOKED), deadlines).cancelable
    assert until == NINE - 24 * HOUR
    agendas = [AgendaRules("a", AccessRules(change_deadline=deadline), PARIS) for deadline in deadlines]
    for agenda in agendas:
        require_changeable(agenda, NINE, until)
    with pytest.raises(Unprocessable), in_words():
        require_changeable(agendas[1], NINE, until + SECOND)


def test_without_a_deadline_until_it_begins() -> None:
    assert deadlines_of(an_appointment(**BOOKED), []) == Deadlines(NINE, NINE)


def test_what_is_only_held_goes_at_any_time_and_moves_as_long_as_it_is_held() -> None:
    held = an_appointment(**BOOKED, status="pending", held_until=NINE - 99 * HOUR)
    assert deadlines_of(held, [24 * HOUR]) == Deadlines(NINE, NINE - 99 * HOUR)


@pytest.mark.parametrize(
    "changed",
    [{"status": "cancelled"}, {"status": "arrived"}, {"status": "proposed"}, {"start": None},
     {"participants": people("Patient/c", "Patient/d")}],
)  # fmt: skip
def test_what_nobody_cancels_or_moves_has_none(changed: dict[str, object]) -> None:
    """Among them what concerns several patients, who call the practice."""
    assert deadlines_of(an_appointment(**{**BOOKED, **changed}), [HOUR]) == NEVER
