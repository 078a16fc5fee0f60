"""Which software publishes agendas, when it was last accepted, and since when it is refused.

Each process notes this in memory, and writes it a few seconds later: otherwise all requests of one software would wait
for each other at its row.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge

from creneau_shared.database.failures import NO_CONNECTION
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.logging import describe

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
AGENDA_TYPES = frozenset({"Slot", "Schedule"})
NORMAL = frozenset({404, 409, 410, 412})
"""Refusals that a correct feed meets: somebody was faster, or had been there already."""
FEEDS_MAX = 5_000
"""most feeds that a process notes between two writes, and that a worker measures"""

RECEIVED = Gauge(
    "creneau_feed_received_timestamp_seconds",
    "When agendas of this software were last taken in",
    ["feed", "organization"],
)
FAILING = Gauge(
    "creneau_feed_failing_timestamp_seconds",
    "Since when everything that this software publishes is refused; 0: it is not",
    ["feed", "organization"],
)

_PUT = """
INSERT INTO feed AS known (client, organization, received_at, failing_since)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) ORDER BY 1, 2
ON CONFLICT (client, organization) DO UPDATE SET
  received_at = greatest(known.received_at, excluded.received_at),
  failing_since = CASE
    WHEN excluded.failing_since IS NULL THEN NULL
    WHEN excluded.received_at IS NULL THEN coalesce(known.failing_since, excluded.failing_since)
    ELSE excluded.failing_since END
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of one feed: when it was last accepted, and since when it has been refused without a break."""

    received_at: datetime | None = None
    failing_since: datetime | None = None

    def after(self, moment: datetime, *, taken: bool) -> Heard:
        """Returns the same after another request."""
        return Heard(moment) if taken else Heard(self.received_at, self.failing_since or moment)


class Feeds:
    """The `Observer` of booking's requests."""

    def __init__(self, database: Database, pause: timedelta) -> None:
        self._database = database
        self._pause = pause
        self._heard: dict[tuple[str, str], Heard] = {}
        self._putting: asyncio.Task[None] | None = None

    def observe(self, request: FhirRequest, status: int) -> None:
        """Note a request that publishes agendas."""
        if request.method not in WRITES or request.principal.role != "software" or status in NORMAL:
            return
        if request.path[:1] and request.path[0] not in AGENDA_TYPES:
            return
        if not request.path and status < 400:
            return  # a Bundle: its entries are observed each
        key = (request.principal.client or request.principal.subject, _of(request))
        if len(self._heard) < FEEDS_MAX or key in self._heard:
            self._heard[key] = self._heard.get(key, Heard()).after(request.now, taken=status < 400)
        if self._putting is None or self._putting.done():
            self._putting = asyncio.create_task(self._put_down_soon(), name="feeds")

    async def _put_down_soon(self) -> None:
        await asyncio.sleep(self._pause.total_seconds())
        await self.put_down()

    async def put_down(self) -> None:
        """Writes what was heard since the last time; keeps what cannot be written now for the next."""
        heard, self._heard = self._heard, {}
        try:
            async with self._database.transaction() as connection:
                await put_feeds(connection, heard)
        except NO_CONNECTION as error:
            log.warning("feeds not noted", error=describe(error))
            self._heard = {**heard, **self._heard}


async def put_feeds(connection: Connection, heard: dict[tuple[str, str], Heard]) -> None:
    """Add what was heard to what is known."""
    if not heard:
        return
    await connection.execute(
        _PUT,
        [client for client, _ in heard],
        [organization for _, organization in heard],
        [one.received_at for one in heard.values()],
        [one.failing_since for one in heard.values()],
    )


async def measure_feeds(connection: Connection, heard_since: datetime) -> None:
    """Sets the gauges of the feeds that were heard since that moment; older ones have been given up."""
    rows = await connection.fetch(
        "SELECT client, organization, received_at, failing_since FROM feed"
        " WHERE greatest(received_at, failing_since) > $1 ORDER BY greatest(received_at, failing_since) DESC LIMIT $2",
        heard_since,
        FEEDS_MAX,
    )
    for gauge, column in ((RECEIVED, "received_at"), (FAILING, "failing_since")):
        gauge.clear()
        for row in rows:
            moment = row[column]
            gauge.labels(row["client"], row["organization"]).set(moment.timestamp() if moment else 0)


def _of(request: FhirRequest) -> str:
    """Returns the practice for which the software speaks, if it is one; else an empty text."""
    organizations = request.principal.organizations
    return next(iter(organizations)) if len(organizations) == 1 else ""
