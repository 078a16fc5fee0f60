"""On which days and at which hours slots begin, by the clock of the place where their agenda is, as a condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from creneau_shared.fhir.search.sql import Arguments


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """Where one of each kind is said, one of them has to hold."""

    weekdays: Sequence[int] = ()
    """ISO: Monday is 1"""
    hours: Sequence[tuple[time, time]] = ()
    """half-open; midnight as an end is that of the evening"""

    def condition(self, alias: str, arguments: Arguments) -> str:
        """Condition on a slot (alias), beside whose row its agenda's stands."""
        local, parts = f"({alias}.start AT TIME ZONE {alias}_agenda.zone)", []
        if self.hours:
            lows, highs = (arguments.add([pair[n] for pair in self.hours], "time[]") for n in (0, 1))
            parts.append(
                f"EXISTS (SELECT FROM unnest({lows}, {highs}) AS hours (low, high)"
                f" WHERE {local}::time >= hours.low AND ({local}::time < hours.high OR hours.high = '00:00'))"
            )
        if self.weekdays:
            days = arguments.add(list(self.weekdays), "integer[]")
            parts.append(f"extract(isodow FROM {local})::integer = ANY({days})")
        return " AND ".join(parts) or "true"
