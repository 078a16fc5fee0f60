"""The small service, over an empty database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from deploy.local.postgres import Postgres
from shared.tests.service.small import Small, make, running


@pytest.fixture(scope="session")
async def small_template(postgres_server: Postgres) -> str:
    """A database with the small service's tables, to be copied."""
    name = "small_template"
    await make(postgres_server.create_database(name))
    return name


@pytest.fixture
async def small(emptied_database: Any, small_template: str) -> AsyncIterator[Small]:
    async with running(emptied_database(template=small_template)) as service:
        yield service
