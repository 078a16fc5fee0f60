"""Joins SQL conditions, with brackets around each part and the whole.

`OR` binds looser than `AND`: a part that is itself an `OR`, joined without brackets, admits rows that the other parts
exclude. So no module joins conditions by hand (a test reads all modules).
"""

from __future__ import annotations

from collections.abc import Iterable

TRUE = "true"
FALSE = "false"


def all_of(conditions: Iterable[str]) -> str:
    """Condition: all of them hold. `true` of none."""
    return _joined(conditions, " AND ", TRUE)


def any_of(conditions: Iterable[str]) -> str:
    """Condition: one of them holds. `false` of none."""
    return _joined(conditions, " OR ", FALSE)


def _joined(conditions: Iterable[str], word: str, empty: str) -> str:
    parts = [f"({condition})" for condition in conditions]
    if not parts:
        return empty
    return parts[0] if len(parts) == 1 else f"({word.join(parts)})"
