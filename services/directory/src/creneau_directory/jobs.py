"""What time brings: idempotency keys are forgotten once they are past use."""

from __future__ import annotations

import asyncio

from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.idempotency import forget_old
from creneau_shared.messaging.waiting import wait

HOUSEKEEPING_S = 3600.0


async def keep_house(database: Database, stop: asyncio.Event) -> None:
    """Forget old idempotency keys, now and at each hour, until stopped."""
    while not stop.is_set():
        async with database.connection() as connection:
            await forget_old(connection)
        await wait(stop, HOUSEKEEPING_S)
