"""Whether what an agenda's software last said of it can still be relied on."""

from __future__ import annotations


def is_stale(agenda: str, now: str) -> str:
    """Condition on a row of `agenda` (alias): its software has promised to say how it stands within a time that is over at
    `now` (SQL). No software promises so much yet: none is stale."""
    return f"({now} IS NULL)"
