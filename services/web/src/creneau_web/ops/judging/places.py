"""Whether processes answer, and their dependencies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
    dependencies = [
        _dependency_line(name, _answering(seen, settings), _naming(not_ready, name))
        for name, seen in memory.dependencies.items()
    ]
    away = {line.name for line in dependencies if line.state == "bad"}
    processes = [
        _process_line(name, _answering(seen, settings), not_ready[name], away)
        for name, seen in memory.processes.items()
    ]
    return [*processes, *dependencies]


def _naming(not_ready: Mapping[str, Sequence[str]], dependency: str) -> list[str]:
    """The processes that say that it does not answer."""
    return [
        process
        for process, failing in not_ready.items()
        if any(CHECKED.get(check) == dependency for check in failing)
    ]


def _dependency_line(name: str, state: State, named: list[str]) -> Line:
    if state == "bad":
        return Line.bad("dependencies", "dependency", name, "away")
    # One that takes connections and answers none, or not those of one service, is reported by the processes that need it.
    if state == "well" and len(named) >= NAMED_MIN:
        return Line.bad("dependencies", "dependency", name, "hangs", named=named)
    return Line("dependencies", RULES["dependency"], name, state)


def _process_line(name: str, state: State, failing: Sequence[str], away: Collection[str]) -> Line:
    """`away`: dependencies that are bad. One that is not ready for them alone is not broken, and not well either."""
    if state == "bad":
        return Line.bad("processes", "process", name, "away")
    if not failing:
        return Line("processes", RULES["process"], name, state)
    explained = all(CHECKED.get(check) in away for check in failing)
    return Line(
        "processes",
        RULES["process"],
        name,
        "unknown" if explained else "bad",
        values={"failing": ", ".join(failing)},
        why=("not-ready",),
    )


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
