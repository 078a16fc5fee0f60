"""Selects the valid ones of several names, addresses or contact points, by `period` and `use`, then `rank`. Also decides
whether a role, place or organisation is in use."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from creneau_shared.clock import PARIS
from creneau_shared.fhir.datatypes import parse_interval

Json = dict[str, Any]

NAME_USES = ("usual", "official", None, "temp", "nickname")
"""uses of a HumanName for addressing somebody, in order of preference. A maiden name only if there is no other; never
an old or anonymous name"""

BLANKS_MAX = 1024
"""a text that begins with at least this many blanks is no name"""
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Unicode categories of blanks and of what is not drawn: controls, marks of format such as U+200B"""
LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""before every period that says when it began"""
OUT_OF_USE = frozenset({"inactive", "suspended", "entered-in-error"})
"""status of a Location where nobody is received, or of a Device that nobody uses"""


def bounds(period: Json | None) -> tuple[datetime | None, datetime | None]:
    """Start and end (exclusive) of a Period; None: open on that side. An unreadable Period is open on both sides."""
    period = period or {}
    try:
        start = parse_interval(period["start"], PARIS)[0] if "start" in period else None
        return start, parse_interval(period["end"], PARIS)[1] if "end" in period else None
    except (ValueError, TypeError):
        return None, None


def holds(period: Json | None, now: datetime) -> bool:
    """Whether a Period covers `now`."""
    start, end = bounds(period)
    return (start is None or start <= now) and (end is None or now < end)


def is_active(resource: Mapping[str, Any]) -> bool:
    """Whether the subject of a directory resource is in use, by `active`, or by `status` for a Location or a Device."""
    return resource.get("active") is not False and resource.get("status") not in OUT_OF_USE


def is_there(resource: Mapping[str, Any], now: datetime) -> bool:
    """Whether the subject of a directory resource is in use, and its period, if any, covers `now`."""
    return is_active(resource) and holds(resource.get("period"), now)


def current(elements: Iterable[Json], now: datetime) -> list[Json]:
    """The ContactPoints, Addresses or HumanNames that are valid at `now`, by rank, else in their order."""
    held = [e for e in elements if e.get("use") != "old" and holds(e.get("period"), now)]
    return sorted(held, key=lambda e: e.get("rank", 99) if isinstance(e.get("rank"), int) else 99)


def next_change(elements: Iterable[Json], now: datetime) -> datetime | None:
    """The next instant at which the result of `current` changes, as a period begins or ends; None: never."""
    ends = (end for e in elements if e.get("use") != "old" for end in bounds(e.get("period")))
    return min((end for end in ends if end is not None and end > now), default=None)


def current_name(names: Sequence[Json], now: datetime) -> Json:
    """The name for addressing somebody at `now`; of several with one use, the one that began last. Empty: none."""
    held = [name for name in current(names, now) if name.get("use") != "anonymous" and spoken(name)]
    for use in NAME_USES:
        of_use = [name for name in held if name.get("use") == use]
        if of_use:
            return max(of_use, key=lambda name: bounds(name.get("period"))[0] or LONG_AGO)
    return held[0] if held else {}


def spoken(name: Json) -> list[str]:
    """The parts of a HumanName for addressing somebody, none of blanks or invisible characters alone: its text, else first
    given name and family name."""
    given = [part for part in name.get("given") or () if _is_said(part)][:1]
    whole = [name.get("text")] if _is_said(name.get("text")) else [*given, name.get("family")]
    return [str(part) for part in whole if _is_said(part)]


def titled(name: Json) -> str:
    """A professional's HumanName in one line: `Dr Océane Payet`. No title is added if the name has a `text`."""
    said = spoken(name)
    titles = (
        [title for title in name.get("prefix") or () if _is_said(title)] if said != [name.get("text")] else []
    )
    return " ".join(["Dr" if title.upper() == "DR" else title for title in titles[:1]] + said)


def _is_said(part: object) -> bool:
    return isinstance(part, str) and any(unicodedata.category(c) not in UNSEEN for c in part[:BLANKS_MAX])
