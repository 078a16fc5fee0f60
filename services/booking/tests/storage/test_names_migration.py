"""Names that were stored before they were found by any of their words: the migration of a database with data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from alembic import command
from alembic.config import Config
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import NOW, unique
from services.booking.tests.practice import Practice

from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.pool import Database

PATIENT = {
    "resourceType": "Patient",
    "name": [
        {"family": "Le Gall-Moreau de Saint-Exupéry", "given": ["Zoé", "Ana"], "text": "Mme Zoé d’Œuvre"},
        {"use": "maiden", "family": "Ste Croix"},
        {"family": " ".join(f"mot{n}" for n in range(20))},
    ],
    "address": [{"line": ["3 rue St Étienne"], "city": "St-Malo", "state": "Ste"}],
}
STARTS = "SELECT parameter, value, exact FROM patient_string WHERE parameter LIKE '%:start' ORDER BY 1, 2"


async def test_rows_get_the_starts_that_a_write_would_have_given(
    new_database: Callable[..., str], template: str
) -> None:
    """Back to the schema without them and up again: every name is found by the words by which it was."""
    url = new_database(template=template)
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = url
    async with Database(url, size=2, statement_timeout_s=60) as database:
        practice = Practice(database, settings_for(url), FixedClock(NOW))
        await practice.put({**PATIENT, "id": unique("patient")})
        before = [tuple(row) for row in await database.pool.fetch(STARTS)]
    assert ("family:start", "moreau de saint exupery", "") in before
    assert ("address-city:start", "saint malo", "") in before
    await asyncio.to_thread(command.downgrade, config, "0018-1")
    async with Database(url, size=2, statement_timeout_s=60) as database:
        assert await database.pool.fetch(STARTS) == []
    await asyncio.to_thread(command.upgrade, config, "head")
    async with Database(url, size=2, statement_timeout_s=60) as database:
        assert [tuple(row) for row in await database.pool.fetch(STARTS)] == before
