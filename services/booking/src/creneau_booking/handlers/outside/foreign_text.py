"""Has what strangers wrote read in a process beside this one: the event loop waits for no file, and none harms more than its
own reading."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Self

from creneau_booking.domain.busy_times import Period
from creneau_booking.domain.not_read import TooLargeError
from creneau_booking.handlers.outside.caldav import CalendarObjects, DavResource
from creneau_shared.heavy.wire import answered, packed, unpacked

PROCESSOR_S_MAX = 5
"""an honest calendar of 2 MiB takes one"""


class ForeignText:
    """One reading process, started for the first text and ended with the `async with`. It reads one text at a time; a caller
    that gives up ends it, and the next text gets a new one. All methods raise NotReadError."""

    def __init__(self, processor_s: int = PROCESSOR_S_MAX) -> None:
        """`processor_s`: the most that one text may take of the processor, seconds."""
        self._processor_s = processor_s
        self._turn = asyncio.Lock()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            _end(self._process)
            await self._process.wait()

    async def busy_times(self, contents: Sequence[bytes], within: Period, zone: tzinfo) -> list[Period]:
        """`ics_reading.busy_times`."""
        found: list[Period] = await self._read("busy times", contents, within, zone)
        return found

    async def resources(self, content: bytes) -> list[DavResource]:
        """`caldav.resources`."""
        found: list[DavResource] = await self._read("resources", content)
        return found

    async def calendar_objects(self, content: bytes) -> CalendarObjects:
        """`caldav.calendar_objects`."""
        found: CalendarObjects = await self._read("calendar objects", content)
        return found

    async def _read(self, reading: str, *arguments: Any) -> Any:
        async with self._turn:
            good, answer = unpacked(await self._ask(packed((reading, arguments))))
        if not good:
            raise answer
        return answer

    async def _ask(self, message: bytes) -> bytes:
        process = await self._running()
        try:
            return await answered(process, message)
        except BaseException as error:
            # The answer to this text must never be taken for the answer to the next.
            self._process = None
            _end(process)
            if isinstance(error, (asyncio.IncompleteReadError, ConnectionError)):
                raise TooLargeError("the reading process ended") from error
            raise

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "creneau_booking.handlers.outside.reading_process",
                str(self._processor_s),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,  # warnings tell what is in a text
                start_new_session=True,
            )
        return self._process


def _end(process: Process) -> None:
    """Ends the process and the fork that reads."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
