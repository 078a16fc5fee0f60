"""What time brings: holds run out, partitions are made ready and dropped, idempotency keys are forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from creneau_booking.handlers.expiry import HoldExpiry
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.actions import forget_actions
from creneau_booking.storage.holds import expired_holds
from creneau_booking.storage.partitions import drop_old_partitions, ensure_partitions
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.rest.idempotency import forget_old
from creneau_shared.logging import describe
from creneau_shared.worker import Task

log = structlog.get_logger(__name__)

HOLD_SWEEP_S = 1.0
HOUSEKEEPING_S = 3600.0
HOLDS_PER_SWEEP_MAX = 200


class Jobs:
    """Booking's recurring work. Several workers may run it at once: what one has locked, another skips."""

    def __init__(
        self, database: Database, settings: BookingSettings, expiry: HoldExpiry, clock: Clock
    ) -> None:
        self._database = database
        self._settings = settings
        self._expiry = expiry
        self._clock = clock

    def tasks(self) -> list[Task]:
        return [
            Task("hold expiry", lambda stop: every(HOLD_SWEEP_S, self.expire_holds, stop)),
            Task("housekeeping", lambda stop: every(HOUSEKEEPING_S, self.keep_house, stop)),
        ]

    async def expire_holds(self) -> int:
        """Cancel the appointments whose hold has run out, each in a transaction of its own; how many.

        One that cannot be cancelled stands in nobody's way: it is logged, and the others are gone through.
        """
        now, expired = self._clock.now(), 0
        async with self._database.connection() as connection:
            due = await expired_holds(connection, now, HOLDS_PER_SWEEP_MAX)
        for appointment_id in due:
            try:
                async with self._database.transaction() as connection:
                    expired += await self._expiry.expire(connection, now, [appointment_id])
            except CreneauError as error:
                log.error("hold not expired", appointment=appointment_id, error=describe(error))
        if expired:
            log.info("holds expired", count=expired)
        return expired

    async def keep_house(self) -> None:
        """Make coming months' partitions, drop those past keeping, forget old idempotency keys and acts."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            await ensure_partitions(connection, now, self._settings.slot_months_ahead)
            dropped = await drop_old_partitions(connection, now, self._settings.slot_months_kept)
            forgotten = await forget_old(connection)
            await forget_actions(connection, now)
        log.info("house kept", partitions_dropped=dropped, keys_forgotten=forgotten)


async def every(pause_s: float, work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Do `work` now and then again after each pause, until stopped."""
    while not stop.is_set():
        await work()
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            continue
