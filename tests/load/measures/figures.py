"""What every measure has in common: how long, how many at once, and how its figures are told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.load.http_load import Load
from tests.load.processes import cpu_ms
from tests.load.system import System

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "32"))
CORES_TOLD_FROM = 0.02


def report(name: str, load: Load, yardstick: float, goal: float) -> None:
    """One line a measure: rate, ratio to the yardstick, latencies, the generator's own share."""
    ratio = load.rate / yardstick
    against = f"yardstick {yardstick:>8.0f}/s   ratio {ratio:5.3f} (goal {goal:.2f})"
    _line(name, load, against)


def report_alone(name: str, load: Load) -> None:
    """The same of what has no yardstick."""
    _line(name, load, " " * 45)


def _line(name: str, load: Load, against: str) -> None:
    statuses = ", ".join(f"{count} × {status}" for status, count in sorted(load.statuses.items()))
    print(
        f"{name:<34}{load.rate:>8.0f}/s   {against}"
        f"   p50 {load.percentile(0.5):6.1f}  p95 {load.percentile(0.95):6.1f}  p99 {load.percentile(0.99):6.1f} ms"
        f"   generator {load.cpu_share:4.0%} of a core   [{statuses}]",
        flush=True,
    )


@contextmanager
def telling_cores(system: System) -> Iterator[None]:
    """Tells after the block how many cores each kind of process has used in it, the warm-up included."""
    before, began = cpu_ms(system.pids()), time.perf_counter()
    yield
    lasted_ms = (time.perf_counter() - began) * 1000
    cores = {kind: (used - before.get(kind, 0.0)) / lasted_ms for kind, used in cpu_ms(system.pids()).items()}
    shown = [f"{kind} {share:.2f}" for kind, share in cores.items() if share >= CORES_TOLD_FROM]
    print(f"{'':<34}cores: {', '.join(shown)}", flush=True)


def percentiles(values: Sequence[float]) -> str:
    """Median and tails of some seconds, as milliseconds."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    return f"p50 {at(0.5):7.0f}  p95 {at(0.95):7.0f}  p99 {at(0.99):7.0f} ms" if ordered else "none came"
