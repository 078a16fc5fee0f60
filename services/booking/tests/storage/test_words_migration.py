"""The words of what was stored before there were any: the migration of a database with data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from alembic import command
from alembic.config import Config
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import NOW, slot, unique
from services.booking.tests.practice import Practice

from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.pool import Database

NOTE = {
    "status": "generated",
    "div": '<div xmlns="http://www.w3.org/1999/xhtml">Très&nbsp;<b>urgent</b> &amp; long</div>',
}
PATIENT = {
    "resourceType": "Patient",
    "text": NOTE,
    "name": [{"family": "L’Œuvre-Noël", "given": ["Zoé", "Ana"], "use": "official"}],
    "identifier": [{"system": "urn:x", "value": "N° 12/B"}],
    "birthDate": "1980-01-01",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Cabinet Straße"}],
}

# A slot's members are stored in another order than they were sent in, so the places of its words may change.
WORDS = "nullif(strip(words)::text || strip(ts_filter(words, '{a}'))::text, '')"


async def _words(practice: Practice) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    async with practice.database.connection() as connection:
        for table in ("patient", "schedule", "slot"):
            rows = await connection.fetch(f"SELECT id::text, {WORDS} AS words FROM {table}")
            found |= {f"{table} {row['id']}": row["words"] for row in rows}
        for row in await connection.fetch(f"SELECT key, {WORDS} AS words FROM slot_kind"):
            found[f"kind {row['key']}"] = row["words"]
    return found


async def _fill(practice: Practice) -> None:
    await practice.put({**PATIENT, "id": unique("patient")})
    start = datetime.fromisoformat("2026-12-08T09:00:00+00:00")
    members: dict[str, Any] = {"comment": "Étage 2", "meta": {"tag": [{"system": "urn:t", "code": "pilote"}]}}
    agenda = await practice.open_agenda(1, start=start, slot_members=members)
    number = {"system": "urn:logiciel", "value": "n7"}
    await practice.put(
        slot(unique("marque"), agenda.id, agenda.at(3), identifier=[number], text=NOTE, **members)
    )


async def test_rows_get_the_words_that_a_write_would_have_given(
    new_database: Callable[..., str], template: str
) -> None:
    """Back to the schema without words and up again: every row finds the words that it had."""
    url = new_database(template=template)
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = url
    async with Database(url, size=2, statement_timeout_s=60) as database:
        practice = Practice(database, settings_for(url), FixedClock(NOW))
        await _fill(practice)
        before = await _words(practice)
    assert sum(bool(words) for words in before.values()) == 3, before
    await asyncio.to_thread(command.downgrade, config, "0002")
    await asyncio.to_thread(command.upgrade, config, "head")
    async with Database(url, size=2, statement_timeout_s=60) as database:
        assert await _words(Practice(database, settings_for(url), FixedClock(NOW))) == before
