"""python -m creneau_booking.handlers.outside.reading_process SECONDS: reads what strangers wrote, each piece in a fork of this
process.

The fork's time (SECONDS of the processor) and memory are limited, whatever the libraries do: icalendar follows the rules of
a time zone without an end. What a reading leaves behind ends with it: icalendar keeps every time zone by its name, for the
files that come after. The parent's death ends standard input, and with it this process.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from creneau_booking.domain.not_read import NotReadError, TooLargeError
from creneau_booking.handlers.outside.caldav import calendar_objects, resources
from creneau_booking.handlers.outside.ics_reading import busy_times
from creneau_shared.collector import settle
from creneau_shared.heavy.wire import LENGTH, packed, unpacked

READINGS: Mapping[str, Callable[..., Any]] = {
    "busy times": busy_times,
    "resources": resources,
    "calendar objects": calendar_objects,
}
CLOCK_S_OVER = 6
"""times its time of the processor that a reading may last"""
MEMORY_MAX = 128 * 1024 * 1024
"""bytes of address space; an honest calendar of 2 MiB takes 60 MiB"""
NICENESS = 5


def main() -> None:
    """Serves the parent process: reads jobs and writes answers, until the input ends."""
    processor_s = int(sys.argv[1])
    os.nice(NICENESS)
    settle()
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    while head := incoming.read(LENGTH.size):
        outgoing.write(in_a_fork(incoming.read(*LENGTH.unpack(head)), processor_s))
        outgoing.flush()


def in_a_fork(job: bytes, processor_s: int) -> bytes:
    """The answer (packed) to a job (pickled): whether it was read, and the result or the NotReadError."""
    reading, writing = os.pipe()
    fork = os.fork()
    if fork == 0:
        try:
            _limit(processor_s)
            with os.fdopen(writing, "wb") as told:
                told.write(packed(_read(job)))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as heard:
        answer = heard.read()
    _, status = os.waitpid(fork, 0)
    return answer if status == 0 else packed((False, TooLargeError("too much work")))


def _limit(processor_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    signal.alarm(CLOCK_S_OVER * processor_s)


def _read(job: bytes) -> tuple[bool, Any]:
    reading, arguments = unpacked(job)
    try:
        return True, READINGS[reading](*arguments)
    except NotReadError as error:
        return False, error
    except MemoryError:
        return False, TooLargeError("too much memory")


if __name__ == "__main__":
    main()
