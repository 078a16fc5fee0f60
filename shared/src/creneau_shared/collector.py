"""The garbage collector of a long-running process."""

from __future__ import annotations

import gc

COLLECTED_FROM = 10_000
"""allocations minus deallocations that start a collection of the youngest generation. With Python's default, 700, most
collections look at objects of a request in progress, in vain"""


def settle() -> None:
    """Freezes the objects loaded so far, so that no collection looks at them again; makes later collections less
    frequent."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_FROM, *gc.get_threshold()[1:])
