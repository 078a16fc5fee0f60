"""Extensions stand first among what slots share: the migration of kinds that were written in another order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from alembic import command
from alembic.config import Config
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import NOW
from services.booking.tests.practice import Practice

from creneau_booking.storage.mapping.places import PLACES_LEFT, SCHEDULE_CAPACITY
from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.pool import Database

KIND = """UPDATE slot_kind SET members = '"comment":"x:{\\"extension\\":[","schedule":{"reference":"Schedule/' || schedule.id
  || '"},"extension":[{"url":"urn:a","valueString":"b"}],"specialty":[{"extension":[{"url":"urn:c"}]}]'
FROM schedule WHERE schedule.key = schedule_key"""


async def test_a_slot_of_before_says_how_many_places_are_left(
    new_database: Callable[..., str], template: str
) -> None:
    url = new_database(template=template)
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = url
    async with Database(url, size=2, statement_timeout_s=60) as database:
        agenda = await Practice(database, settings_for(url), FixedClock(NOW)).open_agenda(1)
    await asyncio.to_thread(command.downgrade, config, "0028")
    async with Database(url, size=2, statement_timeout_s=60) as database:
        await database.pool.execute(KIND)
    await asyncio.to_thread(command.upgrade, config, "head")
    async with Database(url, size=2, statement_timeout_s=60) as database:
        practice = Practice(database, settings_for(url), FixedClock(NOW))
        before = await practice.slot(agenda.slots[0])
        assert before["extension"] == [{"url": "urn:a", "valueString": "b"}]
        await database.pool.execute("UPDATE agenda SET capacity = 3")
        after = await practice.slot(agenda.slots[0])
        assert after["extension"] == [{"url": PLACES_LEFT, "valueUnsignedInt": 3}, *before["extension"]]
        assert json.dumps(after).count('"extension"') == 2
        assert SCHEDULE_CAPACITY not in json.dumps(after)
