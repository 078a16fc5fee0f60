"""What was seen of each process and dependency in the last quarter of an hour, and nothing from before."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan, nan

from creneau_web.ops.reading import Key, Numbers

STARTED = Key("process_start_time_seconds")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one process or dependency, at a moment (seconds since 1970)."""

    at: float
    answered: bool
    failing: tuple[str, ...] = ()
    """its own readiness checks that fail, of a process that answers"""


@dataclass(slots=True)
class Seen:
    """Looks at one process, with its numbers: columns that only grow, so that a look costs eight bytes a series."""

    looks: deque[Look] = field(default_factory=deque)
    _samples: deque[tuple[float, array[float]]] = field(default_factory=deque)
    _columns: dict[Key, int] = field(default_factory=dict)

    def add(self, look: Look, numbers: Numbers | None, keep_after: float) -> None:
        """Note a look; forget those from before `keep_after`."""
        self.looks.append(look)
        if numbers is not None:
            if not self._columns and numbers.get(STARTED, 0.0) > self.looks[0].at:
                # It began after the first look: it has counted from zero.
                self._samples.append((self.looks[0].at, array("d")))
            for key in numbers:
                self._columns.setdefault(key, len(self._columns))
            sample = array("d", [nan]) * len(self._columns)
            for key, value in numbers.items():
                sample[self._columns[key]] = value
            self._samples.append((look.at, sample))
        while self.looks and self.looks[0].at < keep_after:
            self.looks.popleft()
        while self._samples and self._samples[0][0] < keep_after:
            self._samples.popleft()

    @property
    def last(self) -> Look | None:
        return self.looks[-1] if self.looks else None

    def failures(self) -> int:
        """How many looks in a row, up to the last, had no answer."""
        count = 0
        for look in reversed(self.looks):
            if look.answered:
                break
            count += 1
        return count

    def now(self) -> dict[Key, float]:
        """The numbers of the last sample; none when the last look had none."""
        if not self._samples or self.last is None or self._samples[-1][0] != self.last.at:
            return {}
        sample = self._samples[-1][1]
        return {
            key: sample[column]
            for key, column in self._columns.items()
            if column < len(sample) and not isnan(sample[column])
        }

    def keys(self, name: str) -> list[Key]:
        return [key for key in self._columns if key.name == name]

    def steps(self, key: Key) -> Iterator[tuple[float, float]]:
        """Yields when a counter was seen to grow, and by how much. A process that restarted counts from 0; so does a series
        that appears after the first look. What was counted before that look is left out."""
        column, before = self._columns.get(key), nan
        if column is None:
            return
        for at, sample in self._samples:
            value = sample[column] if column < len(sample) else nan
            if isnan(value):
                before = 0.0
                continue
            if not isnan(before):
                yield at, value - before if value >= before else value
            before = value


@dataclass(slots=True)
class Memory:
    """Everything that was seen. `processes`: by name, or name and address where several have one name."""

    processes: dict[str, Seen] = field(default_factory=dict)
    dependencies: dict[str, Seen] = field(default_factory=dict)
    looked_at: float | None = None
    """when the last round of looks ended"""
    failed: str | None = None
    """type of the failure of the last round; None: there was none"""

    def forget_all_but(self, names: Mapping[str, object]) -> None:
        """Forgets all processes but those in `names`."""
        for name in [name for name in self.processes if name not in names]:
            del self.processes[name]
