"""What was planned while the tables were empty stays quick when they fill, before anybody has counted them anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from creneau_booking.storage.agendas.rules import standing_of, upcoming_of
from creneau_booking.storage.outside.calendars import shown_visits
from creneau_booking.storage.people.known_patients import known_at
from creneau_booking.storage.visits.upcoming import visits_in, visits_of

OTHERS, OWN = 3_000, 2
PLANNED_AFTER = 6
"""calls of a prepared statement, after which its plan is kept"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_FILL = (
    "SET session_replication_role = replica",
    "INSERT INTO appointment (id, version, last_updated, content, terms) SELECT 'v' || n, 1, now(), '{}',"
    f" ARRAY['status=booked', 'patient=Patient/' || n / {OWN}, '~agenda=Schedule/' || n / {OWN}]"
    f" FROM generate_series(0, {OTHERS - 1}) AS n",
    "INSERT INTO appointment_date (key, parameter, low, high)"
    " SELECT key, 'date', '2026-06-01', '2026-06-01' FROM appointment",
    "SET session_replication_role = origin",
)
_READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
WHERE relname IN ('appointment', 'appointment_date')"""
Asking = Callable[[asyncpg.Connection], Awaitable[Any]]
ASKED: dict[str, Asking] = {
    "a patient's standing": lambda c: standing_of(c, ["1"], "Patient/7", NOW, besides=[], hidden_too=True),
    "a patient's visits to come": lambda c: upcoming_of(c, "Patient/7", NOW, hidden_too=True),
    "what a patient's end cancels": lambda c: visits_of(c, "7", NOW),
    "what an agenda's end cancels": lambda c: visits_in(c, "7", NOW),
    "what a calendar shows": lambda c: shown_visits(c, "7", NOW, datetime(2027, 1, 1, tzinfo=UTC), 50),
    "where a patient is known": lambda c: known_at(c, ["7"], NOW, oneself=["7"]),
}


@pytest.fixture(scope="module")
async def young(postgres_server: Any, template: str) -> AsyncIterator[asyncpg.Connection]:
    """A session that has planned everything on empty tables, which are filled now."""
    url = postgres_server.create_database("booking_young", template=template)
    connection = await asyncpg.connect(url, server_settings={"jit": "off", "timezone": "UTC"})
    for asked in ASKED.values():
        for _ in range(PLANNED_AFTER):
            await asked(connection)
    for statement in _FILL:
        await connection.execute(statement)
    yield connection
    await connection.close()


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_few_rows_are_read_for_one_of_many(young: asyncpg.Connection, asked: Asking) -> None:
    async with young.transaction():
        before = await young.fetchval(_READ)
        await asked(young)
        assert await young.fetchval(_READ) - before <= 10 * OWN
