"""Starts parts, watches them, starts again what dies, and stops all of it in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.child import Command, last_lines
from deploy.local.probes import Probe


@dataclass(frozen=True)
class Pauses:
    """How long to wait before a part is started again, seconds: doubling from `first_s` to `longest_s`.

    A part that has run for `healthy_s` is forgiven: its next pause is the first one again.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    healthy_s: float = 60.0

    def next(self, pause_s: float) -> float:
        return min(pause_s * 2, self.longest_s)


@dataclass
class Part:
    """One process to keep alive: how to run it, where it listens, how to know that it is ready.

    `prepare` runs before each start. The fields below the line are kept by the supervisor.
    """

    name: str
    command: Command
    ready_when: Probe
    port: int | None = None
    prepare: Callable[[], None] | None = None
    stop_within_s: float = 15.0

    pid: int | None = field(default=None, init=False)
    since: datetime | None = field(default=None, init=False)
    restarts: int = field(default=0, init=False)
    ready: bool = field(default=False, init=False)
    was_ready: bool = field(default=False, init=False)

    def status(self) -> dict[str, object]:
        """What `.creneau/state.json` and `/ops/status` tell of the part."""
        since = self.since.isoformat(timespec="seconds") if self.since else None
        return {
            "pid": self.pid,
            "port": self.port,
            "since": since,
            "restarts": self.restarts,
            "ready": self.ready,
        }


class StartError(Exception):
    """A part did not become ready; the message has the end of its log."""


class Supervisor:
    """Keeps parts alive. `say` tells the person at the terminal, `changed` is called at each change."""

    DEATHS_BEFORE_GIVING_UP = 4
    """of a part that has never been ready"""
    DEATHS_BEFORE_SHOWING_LOG = 3
    PROBE_STARTING_S = 0.1
    PROBE_RUNNING_S = 10.0

    def __init__(
        self,
        logs: Path,
        *,
        say: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        pauses: Pauses | None = None,
    ) -> None:
        self.stages: list[list[Part]] = []
        self._logs = logs
        self._say = say
        self._changed = changed
        self._pauses = pauses or Pauses()
        self._stopping = asyncio.Event()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    @property
    def parts(self) -> Iterable[Part]:
        """All parts, in the order of their start."""
        return (part for stage in self.stages for part in stage)

    async def start(self, *parts: Part, within_s: float = 60.0) -> None:
        """Start a stage: its parts at the same time; return when all are ready. StartError otherwise."""
        self.stages.append(list(parts))
        for part in parts:
            rotate(self._log(part))
            self._keepers[part.name] = asyncio.create_task(self._keep(part), name=part.name)
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(self._become_ready(part, within_s))
        except* StartError as failures:
            raise StartError("\n".join(str(failure) for failure in failures.exceptions)) from None

    async def run_once(self, name: str, command: Command, *, to_terminal: bool = False) -> None:
        """Run a command to its end; StartError when it fails."""
        log = self._logs / f"{name}.log"
        rotate(log)
        with log.open("ab") as output:
            target = None if to_terminal else output
            process = await asyncio.create_subprocess_exec(
                *command.argv, stdout=target, stderr=target, **command.popen_arguments()
            )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            _signal_group(process.pid, signal.SIGKILL)
            raise
        if code:
            raise StartError(f"{name} failed ({ending(code)})\n{last_lines(log)}".rstrip())

    async def stop(self) -> None:
        """Stop everything, the last stage first; within a stage at the same time."""
        self._stopping.set()
        for stage in reversed(self.stages):
            await asyncio.gather(*(self._stop(part) for part in stage))

    def kill(self) -> None:
        """SIGKILL to everything, for those who cannot wait."""
        self._stopping.set()
        for process in self._processes.values():
            _signal_group(process.pid, signal.SIGKILL)

    def _log(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"

    async def _become_ready(self, part: Part, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not part.ready:
            given_up = part.restarts >= self.DEATHS_BEFORE_GIVING_UP and not part.was_ready
            if given_up or time.monotonic() > deadline:
                why = "keeps ending" if given_up else f"is not ready after {within_s:g} s"
                raise StartError(f"{part.name} {why}\n{last_lines(self._log(part))}".rstrip())
            await asyncio.sleep(0.05)

    async def _keep(self, part: Part) -> None:
        pause_s = self._pauses.first_s
        while not self._stopping.is_set():
            began = time.monotonic()
            how = await self._live(part)
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= self._pauses.healthy_s:
                pause_s = self._pauses.first_s
            part.restarts += 1
            self._changed()
            self._say(f"{part.name} {how}; starting it again in {pause_s:g} s")
            if part.restarts % self.DEATHS_BEFORE_SHOWING_LOG == 0:
                self._say(last_lines(self._log(part)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = self._pauses.next(pause_s)

    async def _live(self, part: Part) -> str:
        """Runs a part once; returns how it ended. A failed `prepare` counts as a run."""
        try:
            return ending(await self._run(part))
        except Exception as error:
            return f"could not be started ({type(error).__name__}: {error})"

    async def _run(self, part: Part) -> int:
        """One life of a part: its exit code, negative for a signal."""
        if part.prepare is not None:
            await asyncio.to_thread(part.prepare)
        with self._log(part).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *part.command.argv, stdout=output, stderr=output, **part.command.popen_arguments()
            )
        self._processes[part.name] = process
        part.pid, part.since = process.pid, datetime.now(UTC)
        self._changed()
        if self._stopping.is_set():
            _signal(process, part.command.stop_signal)
        watch = asyncio.create_task(self._watch(part))
        code = await process.wait()
        watch.cancel()
        # What it started itself (nginx workers, say) must not keep its port.
        _signal_group(process.pid, signal.SIGKILL)
        del self._processes[part.name]
        part.pid, part.since, part.ready = None, None, False
        self._changed()
        return code

    async def _watch(self, part: Part) -> None:
        while True:
            ready = await part.ready_when()
            if ready != part.ready:
                part.ready = ready
                part.was_ready = part.was_ready or ready
                self._changed()
            await asyncio.sleep(self.PROBE_RUNNING_S if ready else self.PROBE_STARTING_S)

    async def _stop(self, part: Part) -> None:
        keeper = self._keepers[part.name]
        process = self._processes.get(part.name)
        if process is not None:
            _signal(process, part.command.stop_signal)
        done, _ = await asyncio.wait([keeper], timeout=part.stop_within_s)
        if done:
            return
        self._say(f"{part.name} did not end within {part.stop_within_s:g} s; killing it")
        process = self._processes.get(part.name)
        if process is not None:
            _signal_group(process.pid, signal.SIGKILL)
        await asyncio.wait([keeper])


def ending(code: int) -> str:
    """How a process ended, in words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def rotate(log: Path) -> None:
    """Keep one former log beside the new one."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
