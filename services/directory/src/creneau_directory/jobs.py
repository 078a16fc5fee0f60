"""What time brings: idempotency keys are forgotten once they are past use."""

from __future__ import annotations

import asyncio

from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.idempotency import forget_old
from creneau_shared.limits.storage import forget_full
from creneau_shared.messaging.waiting import wait

HOUSEKEEPING_S = 3600.0


async def keep_house(database: Database, stop: asyncio.Event) -> None:
    """Forget old idempotency keys and full buckets, now and at each hour, until stopped."""
    while not stop.is_set():
        async with database.connection() as connection:
            await forget_old(connection)
            await forget_full(connection)
        await wait(stop, HOUSEKEEPING_S)
