"""Whether processes answer, and their dependencies."""

from __future__ import annotations

from creneau_web.ops.judging.lines import RULES, Line, State
from creneau_web.ops.memory import Memory, Seen
from creneau_web.ops.settings import OpsSettings

CHECKED = {
    "database": "PostgreSQL",
    "database pool": "PostgreSQL",
    "kafka": "Kafka",
    "identity provider": "issuer",
}
"""A process's readiness check → the dependency that it is about, as it is usually named."""
NAMED_MIN = 2
"""processes that must say that a dependency does not answer before they are believed"""


def place_lines(memory: Memory, settings: OpsSettings) -> list[Line]:
    not_ready = {name: _not_ready(seen, settings) for name, seen in memory.processes.items()}
    dependencies = []
    for name, seen in memory.dependencies.items():
        state, reason = _answering(seen, settings), "away"
        # One that takes connections and answers none is reported by the processes that need it.
        named = [
            process for process, failing in not_ready.items() if any(CHECKED.get(c) == name for c in failing)
        ]
        if state == "well" and len(named) >= NAMED_MIN:
            state, reason = "bad", "hangs"
        dependencies.append(
            Line("dependencies", RULES["dependency"], name, state, why=(reason,) if state == "bad" else ())
        )
    processes = {name: _answering(seen, settings) for name, seen in memory.processes.items()}
    cause_known = "bad" in processes.values() or any(line.state == "bad" for line in dependencies)
    lines = []
    for name in memory.processes:
        state, failing = processes[name], not_ready[name]
        why: tuple[str, ...] = ()
        if state == "bad":
            why = ("away",)
        elif failing and not cause_known:
            state, why = "bad", ("not-ready",)
        lines.append(
            Line("processes", RULES["process"], name, state, values={"failing": ", ".join(failing)}, why=why)
        )
    return [*lines, *dependencies]


def _answering(seen: Seen, settings: OpsSettings) -> State:
    if seen.last is None:
        return "unknown"
    if seen.last.answered:
        return "well"
    enough = seen.failures() >= min(settings.ops_failures_min, len(seen.looks))
    return "bad" if enough else "well"


def _not_ready(seen: Seen, settings: OpsSettings) -> tuple[str, ...]:
    """The readiness checks that have failed in each of the last looks."""
    last = list(seen.looks)[-settings.ops_failures_min :]
    if len(last) < settings.ops_failures_min or not all(look.answered for look in last):
        return ()
    failing = set(last[0].failing).intersection(*(look.failing for look in last[1:]))
    return tuple(sorted(failing))
