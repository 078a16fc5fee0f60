"""One local run at a time in one folder, and how to find and stop it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deploy.local.ports import wait_until


class AlreadyRunningError(Exception):
    """Another run holds the folder."""

    def __init__(self, pid: int, url: str) -> None:
        super().__init__(f"Créneau is already running here (pid {pid}) on {url} – `make stop` ends it")
        self.pid = pid
        self.url = url


@contextmanager
def hold(path: Path, url: str) -> Iterator[None]:
    """Hold the lock for as long as the block lasts; AlreadyRunningError when another process does.

    The kernel releases it when the holder ends, however it ends.
    """
    with path.open("a+") as file:
        if not _try_lock(file):
            raise _holder(file)
        file.truncate(0)
        json.dump({"pid": os.getpid(), "url": url}, file)
        file.flush()
        yield
        file.truncate(0)


def stop_holder(path: Path, within_s: float = 60.0) -> int | None:
    """Ask the run that holds the lock to end and wait for it; its pid, or None when nothing was running."""
    if not path.exists():
        return None
    with path.open("a+") as file:
        pid = 0

        def is_known() -> bool:
            """A run that starts or ends holds the lock without a pid; pid 0 would be this process."""
            nonlocal pid
            is_free = _try_lock(file)
            pid = 0 if is_free else _holder(file).pid
            return is_free or pid > 0

        wait_until(
            is_known, within_s=within_s, what="the name of the run that holds the folder", every_s=0.05
        )
        if not pid:
            return None
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: _try_lock(file), within_s=within_s, what=f"the end of pid {pid}", every_s=0.1)
        return pid


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> AlreadyRunningError:
    file.seek(0)
    known = json.loads(file.read() or "{}")
    return AlreadyRunningError(int(known.get("pid", 0)), str(known.get("url", "an unknown port")))
