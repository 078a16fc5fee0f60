"""Carrying out what was asked with `Prefer: respond-async`, in the worker.

The effect and the answer that is kept commit together: a process that dies at any line leaves either both or
neither, and in the second case another one begins anew. Why in the worker and not where requests come in:
docs/adr/2026-11-22-asynchronous-requests.md.
"""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import Counter, Gauge, Histogram

from creneau_shared.correlation import set_correlation_id
from creneau_shared.database.failures import DATABASE_FAILURES, NO_CONNECTION
from creneau_shared.database.pool import Connection
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.failure import RIVALS, failure
from creneau_shared.fhir.rest.packing import rights_digest, unpack
from creneau_shared.fhir.rest.returning import as_preferred
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.storage import async_requests
from creneau_shared.fhir.storage.async_requests import Kept, Leased, Reach, reach_of
from creneau_shared.logging import describe
from creneau_shared.messaging.waiting import every
from creneau_shared.tasks import Task

LEASE_S = 5.0
"""A leased request that is not locked by then is leased again; also the pause before another attempt."""
POLL_S = 0.5
"""shortest pause between two looks for a lease that has ended, since another worker may die of its request"""
HOUSEKEEPING_S = 5.0

WAITING = Gauge("creneau_async_requests_waiting", "Asynchronous requests that are not finished")
OLDEST_SECONDS = Gauge("creneau_async_oldest_seconds", "Age of the oldest unfinished asynchronous request")
DURATION = Histogram(
    "creneau_async_seconds",
    "Time from the acceptance of an asynchronous request to its answer, seconds",
    ["status"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
GIVEN_UP = Counter("creneau_async_given_up", "Asynchronous requests that ended the process too often")

log = structlog.get_logger(__name__)


INTERRUPTIONS: tuple[type[Exception], ...] = (CreneauError, *DATABASE_FAILURES)
"""errors after which a request is taken up again when its lease has ended"""


class AsyncRunner:
    """Carries out the asynchronous requests of one service. Any number of workers may run: a lock keeps them apart."""

    def __init__(self, server: FhirServer, settings: AsyncSettings) -> None:
        self._server = server
        self._service = server.service
        self._settings = settings
        self._accepted = self._service.database.bells.of(async_requests.CHANNEL)

    def tasks(self) -> list[Task]:
        """The worker's tasks: one lane for each request that is carried out at once, and the housekeeping."""
        lanes = [
            Task(f"asynchronous requests {n + 1}", self.run) for n in range(self._settings.async_parallel)
        ]
        return [*lanes, Task("asynchronous housekeeping", self.keep_house)]

    async def run(self, stop: asyncio.Event) -> None:
        """Carry out one request after the other until `stop`; the one in hand is finished first."""
        while not stop.is_set():
            rung = self._accepted.rung
            if not await self.run_next():
                await self._accepted.wait(stop, await self._pause_s(), since=rung)

    async def _pause_s(self) -> float | None:
        """Seconds until the next lease ends, which nobody announces; None without any."""
        async with self._service.database.connection() as connection:
            next_s = await async_requests.next_lease_s(connection)
        return None if next_s is None else max(POLL_S, next_s)

    async def keep_house(self, stop: asyncio.Event) -> None:
        """Measures the waiting requests at each interval until `stop`, and rings for the lanes."""
        await every(HOUSEKEEPING_S, self.measure, stop)

    async def measure(self) -> None:
        """Sets the gauges: how many requests wait, and since when. Rings when any waits."""
        async with self._service.database.connection() as connection:
            waiting, oldest_s = await async_requests.backlog(connection)
        WAITING.set(waiting)
        if waiting:
            self._accepted.ring()
        OLDEST_SECONDS.set(oldest_s)

    async def run_next(self) -> bool:
        """Carry out the request that has waited longest; False when none waits."""
        async with self._service.database.connection() as connection:
            leased = await async_requests.lease(connection, LEASE_S)
        if leased is None:
            return False
        try:
            await self._carry_out(leased)
        except INTERRUPTIONS as error:
            log.warning(
                "asynchronous request interrupted",
                id=str(leased.id),
                attempt=leased.attempts,
                error=describe(error),
                again_in_s=LEASE_S,
            )
        finally:
            set_correlation_id(None)
        return True

    async def _carry_out(self, leased: Leased) -> None:
        """One transaction: the lock, the effect, the answer."""
        async with self._service.transaction() as connection:
            if not await async_requests.hold(connection, leased):
                return
            request = self._request(leased)
            answer = await self._answer(leased, request)
            kept = Kept(answer.status, answer.headers, answer.content, await self._reach(connection, request))
            await async_requests.keep(connection, leased.id, rights_digest(request.principal), kept)
        age_s = (self._service.clock.now() - leased.created_at).total_seconds()
        DURATION.labels(str(answer.status)).observe(max(age_s, 0.0))

    def _request(self, leased: Leased) -> FhirRequest:
        service = self._service
        request = unpack(leased.request, leased.body, now=service.clock.now(), base_url=service.base_url)
        set_correlation_id(request.correlation_id)
        return request

    async def _reach(self, connection: Connection, request: FhirRequest) -> Reach:
        """Whom the caller must reach to come back for the answer: those whom they reach now. After a write the rights are
        looked up again, since the write may have ended one (`$erase`, `$renounce`)."""
        if request.method not in ("GET", "HEAD"):
            await self._service.resolve_again(connection, request)
        return reach_of(request.rights) if request.rights is not None else Reach()

    async def _answer(self, leased: Leased, request: FhirRequest) -> Answer:
        """The request's answer, or that of its failure. Raises errors that may pass while attempts are left."""
        service = self._service
        if leased.attempts > self._settings.async_attempts_max:
            return _given_up(leased, request.language)
        try:
            async with asyncio.timeout(self._settings.async_timeout_s), service.transaction():
                answer = await self._server.handle(request)
        except Exception as error:
            if _may_pass(error) and leased.attempts < self._settings.async_attempts_max:
                raise
            answer = failure(error, request.language)
        as_preferred(answer, request)
        return answer


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a moment later. One that took too long would take as long again."""
    if isinstance(error, TimeoutError):
        return False
    return isinstance(error, (*RIVALS, *NO_CONNECTION))


def _given_up(leased: Leased, language: Language) -> Answer:
    GIVEN_UP.inc()
    log.error("asynchronous request given up", id=str(leased.id), attempts=leased.attempts - 1)
    return failure(
        CreneauError(
            f"La demande a échoué {leased.attempts - 1} fois sans réponse et n'est plus tentée.",
            f"The request has failed {leased.attempts - 1} times without an answer and is tried no more.",
            code="exception",
        ),
        language,
    )
