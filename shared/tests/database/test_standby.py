"""A standby that is there and does nothing takes no reads with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from creneau_shared.database.pool import Database
from creneau_shared.database.standby import LOOK_EVERY_S, Standby, older_state_will_do

WHERE = "SELECT current_setting('application_name')"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Clock:
    return Clock()


@pytest.fixture
async def database(new_database: Callable[..., str], seconds: Clock) -> AsyncIterator[Database]:
    """With a standby of one connection, for which nobody waits long."""
    url = new_database()
    reads = Database(url, size=1, statement_timeout_s=60, name="standby", wait_s=0.01)
    standby = Standby(reads, lag_max_s=60, seconds=seconds)
    async with Database(url, size=2, statement_timeout_s=60, name="primary", standby=standby) as opened:
        yield opened


async def answers(database: Database) -> str:
    """Who answers a read for which an older state will do."""
    with older_state_will_do():
        async with database.connection() as connection:
            return str(await connection.fetchval(WHERE))


async def test_a_standby_whose_connections_are_all_in_use_is_read_from_no_more(
    database: Database, seconds: Clock
) -> None:
    """Frozen, as seen from here: what was sent to it is not answered. Reads go to the primary, those that have come for it
    and those after; and back once it gives connections again."""
    assert database.standby is not None
    assert await answers(database) == "standby"
    pool = database.standby.database.pool  # type: ignore[attr-defined]
    async with pool.acquire():
        assert await answers(database) == "primary"
        assert await database.standby.usable() is False
        seconds.now += LOOK_EVERY_S
        assert await answers(database) == "primary"
    seconds.now += LOOK_EVERY_S
    assert await answers(database) == "standby"
