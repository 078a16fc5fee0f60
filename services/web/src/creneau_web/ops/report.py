"""The operator's report: since when each line is bad, and what is bad, likely causes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from creneau_web.ops.judging import judge
from creneau_web.ops.judging.functions import FunctionFigures, function_figures
from creneau_web.ops.judging.lines import FUNCTIONS, JUDGED_S, Line, Section
from creneau_web.ops.memory import Memory, Seen
from creneau_web.ops.settings import OpsSettings

CAUSES: tuple[Section, ...] = (
    "dependencies",
    "processes",
    "rehearsal",
    "functions",
    "safety",
    "others",
    "whom",
)
"""The order in which the sentence names lines: possible causes of others first."""
NAMED_MAX = 3
NOT_WORKING: frozenset[Section] = frozenset({"rehearsal", "functions", "dependencies", "processes"})


@dataclass(slots=True)
class Tracker:
    """Remembers since when each line is bad, and when the last problem ended."""

    began: float
    last_problem_ended: float | None = None
    _bad_since: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)
    _before_until: float = 0.0

    @property
    def going_on(self) -> Mapping[str, float]:
        """Since when each line is bad that is, or was before this process and may not have been seen again yet."""
        return {**self._bad_since, **self._before}

    def resume(self, bad_since: Mapping[str, float], last_problem_ended: float | None, now: float) -> None:
        """Takes over what a process before this one has seen to be bad, and when the last of what was bad before ended.
        What goes on is seen again within the time by which lines are judged."""
        self._before, self._before_until = dict(bad_since), now + JUDGED_S
        if self.last_problem_ended is None:
            self.last_problem_ended = last_problem_ended

    def follow(self, lines: Iterable[Line], now: float) -> list[Line]:
        """Returns the lines, bad ones with `since`: now, if they were not bad before."""
        found, bad, went_on = [], {}, self.going_on
        if now > self._before_until:
            self._before = {}
        for line in lines:
            if line.state == "bad":
                since = line.since or went_on.get(line.key, now)
                bad[line.key] = since
                self._before.pop(line.key, None)
                line = replace(line, since=since)
            found.append(line)
        ended = now if self._bad_since else self.began
        self._bad_since = bad
        if went_on and not self.going_on:
            self.last_problem_ended = ended
        return found


@dataclass(frozen=True, slots=True)
class Process:
    """One line of what changed."""

    name: str
    version: str
    settings: str
    schema: str
    started: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the page shows."""

    at: float
    looked_at: float | None
    """None: nothing has been looked at yet"""
    began: float
    failed: str | None
    lines: Sequence[Line]
    functions: Sequence[FunctionFigures]
    processes: Sequence[Process]
    last_problem_ended: float | None
    late: bool
    """what is shown is older than it should be: the looking itself has failed"""

    def of(self, section: Section) -> list[Line]:
        return [line for line in self.lines if line.section == section]

    @property
    def bad(self) -> list[Line]:
        """What is bad, likely causes first."""
        wrong = [line for line in self.lines if line.state == "bad"]
        return sorted(wrong, key=lambda line: (CAUSES.index(line.section), line.since or 0))

    @property
    def state(self) -> str:
        """`blind`, `unknown`, `down` (it does not work for somebody), `warning` (it does, but), `well`."""
        if self.failed is not None or self.late:
            return "blind"
        if self.looked_at is None or (not self.processes and not self.lines):
            return "unknown"
        if any(line.section in NOT_WORKING for line in self.bad):
            return "down"
        return "warning" if self.bad else "well"

    @property
    def since(self) -> float | None:
        """Since when that holds which makes the state: what merely needs somebody may be older than what does not work."""
        if self.state == "blind":
            return self.looked_at
        making = [line for line in self.bad if line.section in NOT_WORKING] or self.bad
        return min((line.since for line in making if line.since), default=None)


def report(memory: Memory, settings: OpsSettings, tracker: Tracker, now: float) -> Report:
    """Judges the observations and builds the operator's report."""
    lines = tracker.follow(judge(memory, settings, now), now)
    return Report(
        at=now,
        looked_at=memory.looked_at,
        began=tracker.began,
        failed=memory.failed,
        lines=lines,
        functions=[function_figures(memory, settings, now, name) for name in FUNCTIONS],
        processes=[_process(name, seen) for name, seen in memory.processes.items()],
        last_problem_ended=tracker.last_problem_ended,
        late=_is_late(memory, settings, tracker.began, now),
    )


def as_of(judged: Report, memory: Memory, settings: OpsSettings, now: float) -> Report:
    """The same report at a later moment: older, and perhaps late."""
    late = _is_late(memory, settings, judged.began, now)
    return replace(judged, at=now, looked_at=memory.looked_at, failed=memory.failed, late=late)


def _is_late(memory: Memory, settings: OpsSettings, began: float, now: float) -> bool:
    """Whether the last look is too long ago."""
    return now - (memory.looked_at or began) > 3 * (settings.ops_interval_s + settings.ops_timeout_s)


def _process(name: str, seen: Seen) -> Process:
    numbers = seen.now()
    info = next((key for key in numbers if key.name == "creneau_process_info"), None)
    started = next((v for key, v in numbers.items() if key.name == "process_start_time_seconds"), None)
    if info is None:
        return Process(name, "", "", "", started)
    return Process(name, info["version"], info["settings"], info["schema"], started)


def differing(processes: Sequence[Process]) -> Mapping[str, frozenset[str]]:
    """Services whose processes are not alike → what differs (`version`, `schema`)."""
    found: dict[str, set[str]] = {}
    by_service: dict[str, list[Process]] = {}
    for process in processes:
        by_service.setdefault(process.name.partition("-")[0], []).append(process)
    for service, several in by_service.items():
        answering = [one for one in several if one.version]
        if len({one.version for one in answering}) > 1:
            found.setdefault(service, set()).add("version")
        if len({one.schema for one in answering if one.schema}) > 1:
            found.setdefault(service, set()).add("schema")
    return {service: frozenset(what) for service, what in found.items()}
