"""What no standby has yet is not told as done, however often it is asked for.

On a primary that waits for a synchronous standby which is not there: a commit whose client gives up stays on the
primary alone, where the next request sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from deploy.local.postgres import Postgres
from services.directory.tests.conftest import Directory, opened

from creneau_shared.database.migrations import find_migrations, migrate

GIVEN_UP_AFTER_S = 3.0
"""long enough for whatever waits for nobody"""


_AWAITING = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $1"


@dataclass
class Lonely:
    """A directory whose primary may have to wait for its standby."""

    server: Postgres
    directory: Directory

    async def standby(self, *, there: bool) -> None:
        """The standby goes, or is waited for no more."""
        names = "" if there else "ANY 1 (nobody)"
        connection = await asyncpg.connect(self.server.url("postgres"))
        try:
            await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            await connection.execute("SELECT pg_reload_conf()")
            # Whether a commit waits is the checkpointer's to say, once it has read the settings.
            while await self._waits(connection) is there:
                pass
        finally:
            await connection.close()

    async def _waits(self, watch: asyncpg.Connection) -> bool:
        """Whether a commit waits for a standby, as PostgreSQL says of one."""
        probing = await asyncpg.connect(self.server.url("postgres"))
        commit = asyncio.create_task(probing.execute("SELECT pg_logical_emit_message(true, 'test', 'probe')"))
        try:
            while not commit.done():
                if await watch.fetchval(_AWAITING, probing.get_server_pid()):
                    return True
                await asyncio.sleep(0)
            await commit
            return False
        finally:
            probing.terminate()
            await asyncio.gather(commit, return_exceptions=True)

    async def create(self, name: str, **headers: str) -> httpx.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        body = {"resourceType": "Organization", "name": name}
        return await self.directory.client.post("/fhir/Organization", json=body, headers=named)

    async def stored(self, name: str) -> int:
        rows = await self.directory.ids("Organization", name=name)
        return len(rows)


@pytest.fixture
async def lonely(new_postgres_server: Callable[[], Postgres]) -> AsyncIterator[Lonely]:
    server = new_postgres_server()
    url = server.create_database("directory")
    await migrate(find_migrations("creneau_directory"), url)
    async with opened(url, request_timeout_s=GIVEN_UP_AFTER_S) as directory:
        yield Lonely(server, directory)
        await Lonely(server, directory).standby(there=True)


@pytest.mark.parametrize("repeat", ["Idempotency-Key", "If-None-Exist", "respond-async"])
async def test_a_stored_answer_is_not_repeated_from_a_commit_that_no_standby_has(
    lonely: Lonely, repeat: str
) -> None:
    name = f"cabinet{uuid4().hex}"
    headers: dict[str, str] = {
        "Idempotency-Key": {"Idempotency-Key": name},
        "If-None-Exist": {"If-None-Exist": f"name={name}"},
        "respond-async": {"Idempotency-Key": name, "Prefer": "respond-async"},
    }[repeat]
    done: dict[str, Any] = {"Idempotency-Key": 201, "If-None-Exist": 200, "respond-async": 202}
    await lonely.standby(there=False)
    assert (await lonely.create(name, **headers)).status_code == 503, "it waits, and gives up"
    if repeat != "respond-async":
        assert await lonely.stored(name) == 1, "the primary has it, and shows it"
    for _ in range(2):
        assert (await lonely.create(name, **headers)).status_code == 503, "a repeat waits as well"
    await lonely.standby(there=True)
    answer = await lonely.create(name, **headers)
    assert answer.status_code == done[repeat], answer.text
    if repeat != "respond-async":
        assert await lonely.stored(name) == 1
