"""Ports on the loopback: free ones, and whether someone listens."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LOOPBACK = "127.0.0.1"

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the range that the system gives to outgoing connections, so that a part can come back on its port."""

_ANY = random.SystemRandom()
"""Not the module's generator: tests seed it, and every process would get the same numbers."""


def free_port() -> int:
    """A free port of the loopback. No other process gets it from this function until this process ends, so the server may
    take its time to start."""
    for _ in range(200):
        port = _ANY.randint(FIRST_PORT, LAST_PORT)
        if _keep(port) and can_bind(port):
            return port
    raise RuntimeError(f"no free port between {FIRST_PORT} and {LAST_PORT}")


def _keep(port: int) -> bool:
    """Put a port aside for this process, unless another one has."""
    folder = Path(tempfile.gettempdir()) / f"creneau-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    mark = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(mark)
        return False
    return True  # the mark stays open, and the lock with it, as long as this process lives


def can_bind(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def wait_until(condition: Callable[[], bool], *, within_s: float, what: str, every_s: float = 0.02) -> None:
    """Poll `condition` until it holds; TimeoutError naming `what` after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        time.sleep(every_s)
