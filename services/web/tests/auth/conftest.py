"""The made-up provider, a clock, and the pages' log-in between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from services.web.tests.auth.made_up import MadeUp, settings

from creneau_shared.clock import FixedClock
from creneau_web.auth.login import Login


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 12, 1, 9, tzinfo=UTC))


@pytest.fixture
def provider(clock: FixedClock) -> MadeUp:
    return MadeUp(clock)


@pytest.fixture
async def login(provider: MadeUp, clock: FixedClock) -> AsyncIterator[Login]:
    made = Login(settings(), clock, httpx.MockTransport(provider))
    yield made
    await made.close()
