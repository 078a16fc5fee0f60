"""python -m creneau_shared.heavy: does the jobs on standard input, one after the other, until it ends.

The parent's death ends standard input, and with it this process.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import BinaryIO

from creneau_shared.collector import settle
from creneau_shared.errors import CreneauError
from creneau_shared.heavy.jobs import JOBS, warm_up
from creneau_shared.heavy.wire import LENGTH, packed, unpacked

NICENESS = 5
"""lets the answering process go first, when both want the same core"""


def main() -> None:
    """Serves the parent process."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal's Ctrl-C is for the parent, which then closes the pipe
    os.nice(NICENESS)
    warm_up()
    settle()
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Reads jobs and writes answers, until the input ends."""
    while head := incoming.read(LENGTH.size):
        job, arguments = unpacked(incoming.read(*LENGTH.unpack(head)))
        try:
            answer = (True, JOBS[job](*arguments))
        except CreneauError as refusal:
            answer = (False, refusal)
        except Exception as error:
            answer = (False, RuntimeError(f"{job}: {type(error).__name__}"))
        outgoing.write(packed(answer))
        outgoing.flush()


main()
