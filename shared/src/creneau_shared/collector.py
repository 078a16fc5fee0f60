"""The garbage collector of a process that has started and goes on for long."""

from __future__ import annotations

import gc

COLLECTED_FROM = 10_000
"""objects more than were freed, before it looks for those that only know each other; Python's own is 700, so that most of
what one request has made is looked at in vain"""


def settle() -> None:
    """What was loaded to start is there to stay, and is not looked at again and again; what comes after is looked at more
    seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_FROM, *gc.get_threshold()[1:])
