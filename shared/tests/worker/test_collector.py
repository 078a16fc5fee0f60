"""What a process has loaded before it begins is left alone by the garbage collector."""

from __future__ import annotations

import subprocess
import sys

from creneau_shared.collector import COLLECTED_FROM

WHAT = """
import gc
from creneau_shared.collector import settle
settle()
print(gc.get_freeze_count() > 1000, gc.get_threshold()[0], gc.isenabled())
"""


def test_what_is_there_is_frozen_and_what_comes_is_collected_more_seldom() -> None:
    """In a process of its own: it holds for all of it."""
    said = subprocess.run([sys.executable, "-c", WHAT], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", str(COLLECTED_FROM), "True"]
