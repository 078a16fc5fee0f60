"""Rates, shares and percentiles, from counters of several processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from math import inf

from creneau_web.ops.memory import Seen
from creneau_web.ops.reading import Key

MINUTE_S = 60.0

Chosen = Callable[[Key], bool]


def increase(seen: Iterable[Seen], name: str, chosen: Chosen = lambda _: True, since: float = -inf) -> float:
    """By how much the chosen series of a counter have grown since then."""
    return sum(
        step
        for one in seen
        for key in one.keys(name)
        if chosen(key)
        for at, step in one.steps(key)
        if at >= since
    )


def increase_by(seen: Iterable[Seen], name: str, label: str, since: float = -inf) -> dict[str, float]:
    """The same for each value of a label."""
    found: dict[str, float] = defaultdict(float)
    for one in seen:
        for key in one.keys(name):
            found[key[label]] += sum(step for at, step in one.steps(key) if at >= since)
    return dict(found)


def by_minute(
    seen: Iterable[Seen], name: str, now: float, minutes: int, chosen: Chosen = lambda _: True
) -> list[float]:
    """The growth in each of the last minutes, the oldest first."""
    found = [0.0] * minutes
    for one in seen:
        for key in one.keys(name):
            if not chosen(key):
                continue
            for at, step in one.steps(key):
                place = minutes - 1 - int((now - at) // MINUTE_S)
                if 0 <= place < minutes:
                    found[place] += step
    return found


def quantile(
    share: float, seen: Iterable[Seen], name: str, chosen: Chosen = lambda _: True, since: float = -inf
) -> float | None:
    """A percentile from the steps of a histogram (`…_bucket`), as Prometheus reads it; None where nothing was counted."""
    counts: dict[float, float] = defaultdict(float)
    for one in seen:
        for key in one.keys(name):
            if chosen(key):
                counts[float(key["le"])] += sum(step for at, step in one.steps(key) if at >= since)
    return quantile_of(share, counts)


def quantile_of(share: float, counts: Mapping[float, float]) -> float | None:
    """`counts`: upper bound → how many were not above it."""
    total = counts.get(inf, 0.0)
    if total <= 0:
        return None
    wanted, low, below = share * total, 0.0, 0.0
    for bound in sorted(counts):
        if counts[bound] >= wanted:
            if bound == inf:
                return low
            return low + (bound - low) * (wanted - below) / max(counts[bound] - below, 1e-9)
        low, below = bound, counts[bound]
    return low


def span_s(seen: Iterable[Seen], now: float, longest_s: float) -> float:
    """For how long the processes have been looked at, seconds; at most `longest_s`."""
    firsts = [one.looks[0].at for one in seen if one.looks]
    return min(longest_s, now - min(firsts)) if firsts else 0.0
