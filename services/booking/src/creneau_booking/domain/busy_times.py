"""When somebody is busy according to an external calendar: periods only, never what they are for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

Period = tuple[datetime, datetime]
"""half-open, in UTC"""


def merged(periods: Iterable[Period], within: Period) -> list[Period]:
    """Merges periods that overlap or touch, cuts them to `within`, and returns them in order."""
    found: list[Period] = []
    for start, end in sorted(periods):
        first, last = max(start, within[0]), min(end, within[1])
        if first >= last:
            continue
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
