"""Condition: the days and hours at which slots begin, by the clock of their agenda's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from creneau_shared.fhir.search.sql import Arguments


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """Days and hours: of each of the two that is given, one has to hold."""

    weekdays: Sequence[int] = ()
    """ISO: Monday is 1"""
    hours: Sequence[tuple[time, time]] = ()
    """half-open; midnight as an end is the end of the day"""

    def condition(self, alias: str, arguments: Arguments) -> str:
        """Condition on a slot (alias), whose agenda is joined as `<alias>_agenda`."""
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
