"""X11 once more: the whole system and a browser where there is no network at all but the machine's own loop."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.fixtures.broker import REPOSITORY

ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "alone"]
JOURNEYS = "tests/browser/test_journey.py"
WITHIN_S = 1200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(WITHIN_S + 60)]


def test_x11_a_booking_without_a_network(chromium: str) -> None:
    """From the start of the system to a confirmed appointment; needs the right to make a network namespace (root)."""
    can = shutil.which("unshare") and shutil.which("ip")
    if not can or subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("NO NETWORK NAMESPACE: needs unshare and ip (packages util-linux, iproute2) and root")
    pytest_there = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        JOURNEYS,
        "-k",
        "p10 or p4_reload",
    ]
    done = subprocess.run(
        [*ALONE, *pytest_there], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=WITHIN_S
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout
