"""CPU time of a system's processes, by what they are, from /proc (Linux): in ticks of 10 ms, for which one looks at many
operations; of processes alone, without those that they have started, exactly."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_NUMBER = re.compile(r"-\d+$")


def kind_of(part: str) -> str:
    """`booking-api-2` is one of `booking-api`."""
    return _NUMBER.sub("", part)


def cpu_ms(pids: Mapping[str, int]) -> dict[str, float]:
    """What each kind of part has used since it was started, its children and those that have ended included;
    milliseconds."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for pid, parent, ticks in _processes():
        children[parent].append(pid)
        used[pid] = ticks * TICK_MS
    total: dict[str, float] = defaultdict(float)
    for part, pid in pids.items():
        total[kind_of(part)] += sum(used.get(one, 0.0) for one in _tree(pid, children))
    return dict(total)


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds that these processes have used so far."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def _tree(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _tree(child, children)


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process, parent, and ticks used by itself and by the children that it has waited for."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        yield int(folder.name), int(fields[1]), sum(int(ticks) for ticks in fields[11:15])
