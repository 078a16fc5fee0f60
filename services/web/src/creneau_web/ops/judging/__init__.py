"""Whether each thing is well, from what was seen. Pure: no clock, no network, no words.

Each line has one rule; a rule has the heading of docs/guides/operator.md that says what to do, and the alerts that ring
for the same.
"""

from __future__ import annotations

from creneau_web.ops.judging.functions import function_line
from creneau_web.ops.judging.lines import FUNCTIONS, Line
from creneau_web.ops.judging.others import other_lines
from creneau_web.ops.judging.places import place_lines
from creneau_web.ops.judging.rehearsal import rehearsal_line
from creneau_web.ops.judging.safety import safety_lines
from creneau_web.ops.judging.whom import whom_lines
from creneau_web.ops.memory import Memory
from creneau_web.ops.settings import OpsSettings


def judge(memory: Memory, settings: OpsSettings, now: float) -> list[Line]:
    """Every line, in the order of the page."""
    return [
        *rehearsal_line(memory, settings, now),
        *(function_line(memory, settings, now, name) for name in FUNCTIONS),
        *safety_lines(memory, settings),
        *whom_lines(memory, settings, now),
        *place_lines(memory, settings),
        *other_lines(memory, now),
    ]
