"""`make run` with stand-ins instead of the services; everything else is real."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.local import run, topology

STANDIN = str(Path(__file__).with_name("standin.py"))


def programs() -> topology.Programs:
    """Each service is a stand-in that knows its name."""
    return {name: (sys.executable, STANDIN, name) for name in (*topology.SERVICES, "gateway", "web")}


if __name__ == "__main__":
    sys.exit(run.main(programs()))
