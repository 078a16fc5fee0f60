"""Which of several names, addresses or numbers holds now: `period` and `use` decide, then `rank`. And whether a role, a place
or an organisation is there at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from creneau_shared.clock import PARIS
from creneau_shared.fhir.datatypes import parse_interval

Json = dict[str, Any]

NAME_USES = ("usual", "official", None, "temp", "nickname")
"""by which use somebody is addressed, the first that there is; by a maiden name only where there is no other, never by
a former or hidden one"""

BLANKS_MAX = 1024
"""what begins with more blanks than that is no name, however long it goes on"""
OUT_OF_USE = frozenset({"inactive", "suspended"})
"""Location.status of where nobody is received"""


def bounds(period: Json | None) -> tuple[datetime | None, datetime | None]:
    """From when on and until when (exclusive) a Period is; None: without that end. One that cannot be read says nothing."""
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
    """Whether what a resource of a directory describes is in use: by its `active`, a place by its `status`."""
    return resource.get("active") is not False and resource.get("status") not in OUT_OF_USE


def is_there(resource: Mapping[str, Any], now: datetime) -> bool:
    """Whether what a resource of a directory describes is in use, and its period, if it has one, covers `now`."""
    return is_active(resource) and holds(resource.get("period"), now)


def current(elements: Iterable[Json], now: datetime) -> list[Json]:
    """Those of ContactPoints, Addresses or HumanNames that hold at `now`, by rank, else in their order."""
    held = [e for e in elements if e.get("use") != "old" and holds(e.get("period"), now)]
    return sorted(held, key=lambda e: e.get("rank", 99) if isinstance(e.get("rank"), int) else 99)


def next_change(elements: Iterable[Json], now: datetime) -> datetime | None:
    """When `current` says otherwise of them next, because a period begins or ends; None: never."""
    ends = (end for e in elements if e.get("use") != "old" for end in bounds(e.get("period")))
    return min((end for end in ends if end is not None and end > now), default=None)


def current_name(names: Sequence[Json], now: datetime) -> Json:
    """The name by which somebody is addressed at `now`; of several of one use, the one that began last. Empty: none."""
    held = [name for name in current(names, now) if name.get("use") != "anonymous" and spoken(name)]
    for use in NAME_USES:
        of_use = [name for name in held if name.get("use") == use]
        if of_use:
            return max(of_use, key=lambda name: str((name.get("period") or {}).get("start", "")))
    return held[0] if held else {}


def spoken(name: Json) -> list[str]:
    """What is said of a HumanName to address somebody, no part of it blank: its text, else first given and family name."""
    given = [part for part in name.get("given") or () if _is_said(part)][:1]
    whole = [name.get("text")] if _is_said(name.get("text")) else [*given, name.get("family")]
    return [str(part) for part in whole if _is_said(part)]


def titled(name: Json) -> str:
    """A professional's HumanName in one line, with the title unless it is a text of its own: `Dr Océane Payet`."""
    said = spoken(name)
    titles = (
        [title for title in name.get("prefix") or () if _is_said(title)] if said != [name.get("text")] else []
    )
    return " ".join(["Dr" if title.upper() == "DR" else title for title in titles[:1]] + said)


def _is_said(part: object) -> bool:
    return isinstance(part, str) and part[:BLANKS_MAX].strip() != ""
