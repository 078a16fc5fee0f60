"""Open time that software sends whole, although a part of it is taken here: what is sent, as its parts.

A booking cuts open time into what it takes and what is left. Software that has not heard of it, or keeps no visits at all,
sends the whole again. Compared as a whole it would be another slot, over the visit, and what is left would be missing. An
absence over visits is taken apart as well: it holds for the time of each once that is given back, and until then is told as a
contradiction (`Sent.in_absence`).

Software that has heard of it cuts its open time itself, and may call a part of what is left what it called the whole: the name
that the taken part has here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.domain.synchronising import ECHOES, Known, SaidSlot, Sent


@dataclass(frozen=True, slots=True)
class Part:
    """One of the parts of a slot that is sent. `bears_name`: it has the id, the identifiers and all else that the slot alone
    bears; one part does, unless what is taken beside the slot has that name here."""

    start: datetime
    end: datetime
    bears_name: bool


def parts_around_taken(known: Sequence[Known], sent: Sequence[Sent]) -> dict[int, list[Part]]:
    """Returns the parts, in the order of time, of each sent slot (index) in which known slots are taken: these, and what is
    left around them. A slot that is sent under the name of what is taken beside it is its one part, without the name.

    A taken slot is a part of the sent one that bears its name, if that encloses it. Else, unless a slot of its kind is sent
    at its very time, it is a part of one of its kind that encloses it and is not there as a whole. No group is a part.
    """
    taken = [one for one in known if one.taken_by is not None and not one.is_group]
    if not taken:
        return {}
    bearing = {name: index for index, one in enumerate(sent) for name in _names(one.id, one.said)}
    sent_exactly = {_time_and_kind(one.said) for one in sent}
    within: dict[int, list[Known]] = defaultdict(list)
    unnamed: list[Known] = []
    elsewhere: set[int] = set()
    beside: list[tuple[Known, int]] = []
    for there in taken:
        index = next((bearing[name] for name in _names(there.id, there.said) if name in bearing), None)
        if index is None:
            if _time_and_kind(there.said) not in sent_exactly:
                unnamed.append(there)
        elif _encloses(sent[index].said, there.said):
            within[index].append(there)
        else:
            beside.append((there, index))
    given_on = _given_on(known, sent, bearing, beside) if beside else frozenset[int]()
    for there, index in beside:
        if index not in given_on:
            elsewhere.add(index)
        elif _time_and_kind(there.said) not in sent_exactly:
            unnamed.append(there)
    within |= {index: [] for index in given_on - within.keys()}
    if unnamed:
        wholes = _Wholes(known, sent, elsewhere)
        for there in sorted(unnamed, key=lambda one: (one.said.start, one.id)):
            index = wholes.around(there, within)
            if index is not None:
                within[index].append(there)
    named = {name: one for one in known for name in _names(one.id, one.said)} if within else {}
    return {
        index: _parts(sent[index], there, named, bears_name=index not in given_on)
        for index, there in within.items()
    }


def _given_on(
    known: Sequence[Known],
    sent: Sequence[Sent],
    bearing: Mapping[str, int],
    beside: Iterable[tuple[Known, int]],
) -> frozenset[int]:
    """Some software gives the name of a slot on to another time. Returns the sent slots (indexes) that only bear the name of
    a taken slot: they are not that slot at another time.

    `beside`: taken slots, each with the sent slot of its name, which does not enclose it. The name was given on if the sent
    slot is no visit, does not overlap the taken one, and either its time is stored already as what is left, or another slot
    is sent at the time of the visit. For example `a` was 8:00–12:00 and 8:00–9:00 of it is taken, so 9:00–12:00 is stored as
    what is left: if `a` is sent as 9:00–12:00, it is that, and the visit has not moved.
    """
    names = {name for one in known for name in _names(one.id, one.said)}
    new = Counter(_time(one.said) for one in sent if names.isdisjoint(_names(one.id, one.said)))
    left = Counter(
        _time(one.said)
        for one in known
        if one.in_window and bearing.keys().isdisjoint(_names(one.id, one.said))
    )

    def is_given_on(one: SaidSlot, visit: SaidSlot) -> bool:
        if one.status in ECHOES or _meet(one, visit):
            return False
        is_left_already = left[_time(one)] > new[_time(one)]
        another_at_visit = new[_time(visit)] > left[_time(visit)]
        return is_left_already or another_at_visit

    return frozenset(index for there, index in beside if is_given_on(sent[index].said, there.said))


class _Wholes:
    """The sent slots that are not there as a whole, by kind and start."""

    def __init__(self, known: Sequence[Known], sent: Sequence[Sent], besides: set[int]) -> None:
        self._sent = sent
        there = Counter(_time_and_kind(one.said) for one in known)
        kinds: dict[Hashable, list[int]] = defaultdict(list)
        for index, one in enumerate(sent):
            if there[_time_and_kind(one.said)] > 0:
                there[_time_and_kind(one.said)] -= 1
            elif index not in besides:
                kinds[one.said.kind].append(index)
        self._kinds = {kind: sorted(found, key=self._start) for kind, found in kinds.items()}
        self._longest = {
            kind: max(sent[index].said.end - sent[index].said.start for index in found)
            for kind, found in kinds.items()
        }

    def around(self, there: Known, within: dict[int, list[Known]]) -> int | None:
        """Returns the one (index) that encloses a taken slot, and has nothing else taken at that time if there are several;
        None without any."""
        found = self._kinds.get(there.said.kind, ())
        earliest = there.said.start - self._longest.get(there.said.kind, timedelta())
        first = None
        for place in range(bisect_right(found, there.said.start, key=self._start) - 1, -1, -1):
            index = found[place]
            if self._start(index) < earliest:
                break
            if not _encloses(self._sent[index].said, there.said):
                continue
            if not any(_meet(one.said, there.said) for one in within.get(index, ())):
                return index
            first = index if first is None else first
        return first

    def _start(self, index: int) -> datetime:
        return self._sent[index].said.start


def _parts(sent: Sent, taken: Sequence[Known], named: Mapping[str, Known], *, bears_name: bool) -> list[Part]:
    whole, low = sent.said, sent.said.start
    times: list[tuple[datetime, datetime]] = []
    for start, end in sorted((one.said.start, one.said.end) for one in taken):
        if low < start:
            times.append((low, start))
        times.append((start, end))
        low = max(low, end)
    if low < whole.end:
        times.append((low, whole.end))
    bearer = _bearer(sent, taken, named)
    at = 0 if bearer is None else _place(times, bearer)
    return [Part(start, end, bears_name and index == at) for index, (start, end) in enumerate(times)]


def _bearer(sent: Sent, taken: Sequence[Known], named: Mapping[str, Known]) -> SaidSlot | None:
    """Returns the known slot that bears the sent one's name already, or all else that it alone bears."""
    for name in _names(sent.id, sent.said):
        if name in named:
            return named[name].said
    return next((one.said for one in taken if one.said.own == sent.said.own), None)


def _place(times: Sequence[tuple[datetime, datetime]], bearer: SaidSlot) -> int:
    """Returns the index of the time of a known slot, or of the one in which it begins; 0 without either."""
    if (bearer.start, bearer.end) in times:
        return times.index((bearer.start, bearer.end))
    return next((at for at, (start, end) in enumerate(times) if start <= bearer.start < end), 0)


def _names(id_: str | None, said: SaidSlot) -> Iterable[str]:
    """An id is no search term, and so no identifier."""
    return (*(() if id_ is None else (id_,)), *sorted(said.identifiers))


def _time_and_kind(said: SaidSlot) -> Hashable:
    return said.start, said.end, said.kind


def _time(said: SaidSlot) -> tuple[datetime, datetime]:
    return said.start, said.end


def _encloses(whole: SaidSlot, part: SaidSlot) -> bool:
    """Whether a slot is a part of another one, and not all of it."""
    return (
        whole.start <= part.start
        and part.end <= whole.end
        and (whole.start, whole.end) != (part.start, part.end)
    )


def _meet(one: SaidSlot, other: SaidSlot) -> bool:
    return one.start < other.end and other.start < one.end
