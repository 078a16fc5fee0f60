"""Whether a message that has left might leave, and whether one that will not might end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
from services.notifications.tests.life import rules
from services.notifications.tests.life.facts import Departure, Heard, Owed
from services.notifications.tests.life.model import Model
from services.notifications.tests.life.reading import is_of_request, kind_of, says, spoken, tells_of_several

RETRY_MAX = timedelta(hours=1)
TAKEN = ("accept", "hang up")


def require_right_departure(model: Model, one: Owed, left: Departure) -> None:
    """It is of use, to whom it is for, at an hour at which it may come, and says what is so."""
    about = f"{left} of {one}"
    assert one.due <= model.now < one.expires, f"too early or too late: {about}"
    assert not model.wait_until_civil(one, model.now), f"in the night: {about}"
    person = model.people.get(one.recipient)
    assert person is not None, f"to somebody who is not reached any more: {about}"
    reached = [view for view in (model.reached(), model.in_hand) if view is not None]
    ways = {rules.way(one, view.people.get(one.recipient)) for view in reached}
    assert left.channel in ways, f"not by {ways}: {about}"
    assert any(view.may_go(one, left.address) for view in reached), f"to an address that may not be: {about}"
    if one.recipient in model.leaving:
        assert one.kind == "cancellation", f"to somebody who leaves: {about}"
    assert kind_of(left.said) == one.kind, f"another kind of message: {about}"
    languages = [view.people[one.recipient].language for view in reached if one.recipient in view.people]
    _require_right_times(model, one, left, languages)
    _require_later_entries(model, one, left)
    if left.outcome in TAKEN:
        for visit in one.tells:
            known = model.visits.get(visit)
            is_behind = known is None or _is_behind(known, one)
            start = left.times.get(visit, one.starts[visit]) if known is None or is_behind else known.start
            model.told[visit, one.recipient] = one.kind, _start_told(one, left, visit, start)


def _require_later_entries(model: Model, one: Owed, left: Departure) -> None:
    """What comes later counts in a calendar only if its sequence is greater."""
    for visit, sequence in left.sequences.items():
        message, last = model.entries.get((visit, one.recipient), (left.message, sequence))
        is_later = sequence > last or (message, sequence) == (left.message, last)
        assert is_later or _was_told_ahead(model, one, visit, last), f"no later than {last}: {left}"
        if left.outcome in TAKEN and is_later:
            model.entries[visit, one.recipient] = left.message, sequence
        elif left.outcome in TAKEN:
            model.untold.add((visit, one.recipient))


def _was_told_ahead(model: Model, one: Owed, visit: str, sequence: int) -> bool:
    """Whether the event of another of its series told that later version of the visit, whose own event was not heard yet: until
    then a message of several that waits tells it as before."""
    known = model.visits.get(visit)
    return one.of_several and (known is None or known.version <= sequence)


def _require_right_times(model: Model, one: Owed, left: Departure, languages: Sequence[str]) -> None:
    visits = [model.visits[id_] for id_ in one.tells if id_ in model.visits]
    for visit in visits:
        assert _is_behind(visit, one) or _is_right(visit, one), f"{left} tells of {visit}"
    if one.kind in rules.NEWS and (left.channel == "sms" or is_of_request(left.said)):
        _require_first_time(model, one, left, languages)
        return
    if one.kind in rules.NEWS:
        assert one.tells.keys() <= left.times.keys(), f"tells too little: {left} of {one}"
        for id_, time in left.times.items():
            known = model.visits.get(id_)
            if known is None or _is_behind(known, one):
                continue
            said = _start_told(one, left, id_, known.start)
            assert said == time, f"tells another time than {said}: {left} of {known}"
            assert id_ in one.tells or _is_right(known, one), f"{left} tells of {known}"
        return
    [visit] = visits
    start = visit.proposed if one.kind == "proposal" else visit.start
    assert start is not None
    whens = [spoken(start, model.zone(visit), language) for language in languages]
    assert any(says(left.said, when) for when in whens), f"{left} does not say {whens}"


def _require_first_time(model: Model, one: Owed, left: Departure, languages: Sequence[str]) -> None:
    """A text has no calendar file, nor has what tells of a request: it says when the visit is, or the first of several."""
    assert one.about is not None
    known = [(id_, one.starts[id_], model.visits.get(id_)) for id_ in one.tells]
    starts = {
        _start_told(one, left, id_, said if now is None or _is_behind(now, one) else now.start)
        for id_, said, now in known
    }
    whens = [spoken(at, model.zone(one.about), language) for at in starts for language in languages]
    assert any(says(left.said, when) for when in whens), f"{left} does not say one of {whens}"


def _start_told(one: Owed, left: Departure, visit: str, start: datetime) -> datetime:
    """When the message says that the visit is, which is to be at `start`: a cancellation of it alone takes away the time that its
    patient knew."""
    is_of_it = one.about is not None and one.about.id == visit
    if one.kind == "cancellation" and is_of_it and not tells_of_several(left.said):
        return one.before or start
    return start


def _is_behind(visit: Heard, one: Owed) -> bool:
    """Whether the message tells of a version that was not heard of by itself yet: one event of a series tells of all."""
    return visit.version < one.tells.get(visit.id, 0)


def _is_right(visit: Heard, one: Owed) -> bool:
    """Whether a message of that kind may be told of the visit as it is."""
    if visit.hidden or visit.patient != one.recipient:
        return False
    stands = {
        "confirmation": ("booked",),
        "change": ("booked",),
        "reminder": ("booked",),
        "offer": ("pending",),
        "proposal": ("pending", "booked"),
    }
    return visit.status in stands[one.kind] if one.kind in stands else visit.status != "booked"


def require_right_end(model: Model, one: Owed, row: asyncpg.Record, outcomes: Sequence[str]) -> None:
    """What is still owed ends by being told, or because it cannot be."""
    person = model.people.get(one.recipient)
    given = person.given(rules.way(one, person)) if person is not None else None
    allowed = {
        None: row["status"] == "sent",
        "too-late": model.now >= one.expires,
        "no-contact": person is None and model.now >= one.expires,
        "no-address": person is not None and given is None,
        "invalid-address": given in rules.NO_ADDRESSES,
        "no-text-messages": given == rules.LANDLINE,
        "address-unconfirmed": person is not None and not model.is_sure(one),
        "refused": "never" in outcomes,
        "exhausted": model.now + 1.2 * RETRY_MAX >= one.expires,
    }
    assert allowed.get(row["reason"], False), f"ended as {row['status']} {row['reason']}: {one}"
