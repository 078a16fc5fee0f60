"""The small service, over a database of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from shared.tests.service.small import Small, running


@pytest.fixture
async def small(new_database: Any) -> AsyncIterator[Small]:
    async with running(new_database()) as service:
        yield service
