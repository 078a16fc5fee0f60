"""The small graph that most search tests look at: two practices, three professionals, one week of slots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from shared.tests.search.graph import GRAPH
from shared.tests.search.store import KNOWN_TYPES, Store, ddl, insert

HELD = KNOWN_TYPES - {"Endpoint"}


@pytest.fixture(scope="session")
async def graph(postgres_server: Any) -> AsyncIterator[Store]:
    """The graph, read only."""
    url = postgres_server.create_database("search_graph")
    connection = await asyncpg.connect(url)
    await connection.execute(ddl(sorted(HELD)))
    await insert(connection, GRAPH)
    yield Store(connection, HELD, url)
    await connection.close()


@pytest.fixture
async def empty(new_database: Any) -> AsyncIterator[Store]:
    """A database of its own with Appointment and Patient tables, to write to."""
    url = new_database()
    connection = await asyncpg.connect(url)
    await connection.execute(ddl(["Appointment", "Patient", "Location"]))
    yield Store(connection, ["Appointment", "Patient", "Location"], url)
    await connection.close()
