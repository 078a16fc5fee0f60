"""Child processes that never outlive their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Command:
    """What to run, and how it wants to be told to stop.

    `environment` is the whole environment of the child. `user` is a system user to become (only root can). `stop_signal`
    asks for a clean end; the kernel sends `orphan_signal` when the parent process vanishes.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: str | None = None
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess.Popen`; a session of its own keeps the terminal's Ctrl-C away."""
        arguments: dict[str, Any] = {
            "env": dict(self.environment),
            "cwd": self.directory,
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "preexec_fn": _die_with_parent(self.orphan_signal),
        }
        if self.user is not None:
            arguments |= {"user": self.user, "group": _primary_group(self.user), "extra_groups": []}
        return arguments


def _primary_group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _die_with_parent(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """A hook between fork and exec: the kernel sends `orphan_signal` when the parent dies (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, int(orphan_signal))
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    return hook


class Child:
    """One child process, its output going to a file. Start, stop and kill it as often as needed."""

    def __init__(self, name: str, command: Command, log: Path) -> None:
        self.name = name
        self.command = command
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process; it must not be running."""
        if self.pid is not None:
            raise RuntimeError(f"{self.name} is already running")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command.argv, stdout=output, stderr=subprocess.STDOUT, **self.command.popen_arguments()
            )

    def check_alive(self) -> None:
        """RuntimeError with the last lines of its log when the process has ended."""
        if self.pid is None:
            raise RuntimeError(f"{self.name} has ended:\n{last_lines(self.log)}")

    def stop(self, within_s: float = 10.0) -> None:
        """Ask for a clean end, then insist after `within_s` seconds."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self.command.stop_signal)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, or an empty string when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
