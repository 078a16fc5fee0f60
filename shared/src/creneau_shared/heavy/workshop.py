"""Hands heavy jobs to a process beside this one."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from creneau_shared.errors import Unavailable
from creneau_shared.heavy.wire import answered, packed, unpacked
from creneau_shared.logging import describe

END_WITHIN_S = 2.0
RETRY_AFTER_S = 2

WAITING = Gauge(
    "creneau_heavy_waiting", "Heavy jobs that wait for the process beside, the one in hand included"
)
SECONDS = Histogram(
    "creneau_heavy_seconds",
    "Time of a heavy job, its wait included, seconds",
    ["job"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
ENDED = Counter(
    "creneau_heavy_ended", "Processes for heavy work that were ended, or ended, in the middle of a job"
)

log = structlog.get_logger(__name__)


class Workshop:
    """One process for heavy work, started for the first job. It does one job at a time, in the order of arrival.

    When a caller gives up (timeout), the process is ended with the job; the next job gets a new process.
    """

    def __init__(self, *, bytes_min: int, waiting_max: int) -> None:
        """`bytes_min`: shorter content is handled in the calling process; `waiting_max`: most jobs that wait at once."""
        self.bytes_min = bytes_min
        self._waiting_max = waiting_max
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, busy or idle; None when there is none."""
        return None if self._process is None else self._process.pid

    async def do(self, job: str, *arguments: Any) -> Any:
        """Returns or raises the result of a job of `jobs.JOBS`. Unavailable (`throttled`) when too many jobs wait."""
        if self._waiting >= self._waiting_max:
            raise Unavailable(
                "Trop de contenus volumineux sont traités en ce moment ; réessayez dans un instant.",
                "Too many large bodies are being worked on at the moment; try again shortly.",
                code="throttled",
                details_code="busy",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._waiting += 1
        WAITING.inc()
        try:
            with SECONDS.labels(job).time():
                async with self._turn:
                    good, answer = unpacked(await self._ask(packed((job, arguments))))
        finally:
            self._waiting -= 1
            WAITING.dec()
        if not good:
            raise answer
        return answer

    async def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            await _end(process)

    async def _ask(self, message: bytes) -> bytes:
        process = await self._running()
        try:
            return await answered(process, message)
        except BaseException as error:
            # The answer to this job must never be taken for the answer to the next.
            ENDED.inc()
            self._process = None
            with suppress(ProcessLookupError):
                process.kill()
            if isinstance(error, (asyncio.IncompleteReadError, OSError)) and not isinstance(
                error, TimeoutError
            ):
                log.error("process for heavy work ended", pid=process.pid, error=describe(error))
                raise Unavailable(
                    "Le contenu n'a pas pu être traité ; réessayez dans un instant.",
                    "The body could not be worked on; try again shortly.",
                    headers={"Retry-After": str(RETRY_AFTER_S)},
                ) from error
            raise

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "creneau_shared.heavy",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
            )
        return self._process


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_WITHIN_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
