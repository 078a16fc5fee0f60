"""Whether the synthetic booking of each minute succeeds."""

from __future__ import annotations

from collections.abc import Iterable

from creneau_web.ops.judging.lines import RULES, Line
from creneau_web.ops.judging.looking import numbers, series
from creneau_web.ops.memory import Memory
from creneau_web.ops.settings import OpsSettings

SLACK = 3
"""rehearsals in a row that must be missing before the line is bad"""


def rehearsal_line(memory: Memory, settings: OpsSettings, now: float) -> Iterable[Line]:
    succeeded = max(numbers(memory, "creneau_rehearsal_success_timestamp_seconds"), default=0.0)
    failing = [value for value in numbers(memory, "creneau_rehearsal_failing_timestamp_seconds") if value]
    steps = {
        key["step"]: value for key, value in series(memory, "creneau_rehearsal_step_seconds") if key["step"]
    }
    broken = next(
        ((key["step"], key["reason"]) for key, v in series(memory, "creneau_rehearsal_step_failed") if v),
        None,
    )
    rule = RULES["rehearsal"]
    values: dict[str, object] = {
        "succeeded": succeeded or None,
        "seconds": sum(steps.values()),
        "broken": broken,
    }
    if failing:
        yield Line("rehearsal", rule, "", "bad", since=min(failing), values=values, why=("fails",))
    elif not succeeded:
        yield Line("rehearsal", rule, "", "unknown", values=values, why=("never",))
    elif now - succeeded > SLACK * settings.rehearsal_interval_s + settings.ops_interval_s:
        yield Line("rehearsal", rule, "", "bad", since=succeeded, values=values, why=("silent",))
    else:
        yield Line("rehearsal", rule, "", "well", values=values)
