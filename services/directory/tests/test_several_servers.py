"""Several servers behind one service: migrated and served by a URL that names them all, and reads from a standby."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import httpx
import pytest
from deploy.local.ports import wait_until
from deploy.local.postgres import Postgres
from services.directory.tests.conftest import Directory, opened
from tests.fixtures.local_run import eventually
from tests.fixtures.postgres import running_postgres, running_standby

from creneau_directory.settings import DirectorySettings
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database

NAME = "directory"


@dataclass
class Pair:
    """A primary and the standby that follows it."""

    primary: Postgres
    standby: Postgres

    @property
    def url(self) -> str:
        """Both, the standby first: whoever took the first would find that it writes nothing."""
        first, second = (
            server.url(NAME).partition("@")[2].partition("/")[0] for server in (self.standby, self.primary)
        )
        return f"postgresql://postgres@{first},{second}/{NAME}?target_session_attrs=primary"

    def caught_up(self) -> None:
        """Wait until the standby shows what the primary has."""
        at = self.primary.execute("SELECT pg_current_wal_lsn()")
        wait_until(
            lambda: self.standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{at}'") == "t",
            within_s=60,
            what="the standby caught up",
            every_s=0.05,
        )


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    """One for all tests of this file: the last of them ends its primary."""
    with running_postgres(durable=True) as primary:
        primary.create_database(NAME)
        with running_standby(primary) as standby:
            pair = Pair(primary, standby)
            settings = DirectorySettings(database_url=pair.url, database_owner_url=pair.url)
            assert settings.runtime_role == "postgres"
            await migrate(find_migrations("creneau_directory"), settings.migration_url)
            pair.caught_up()
            yield pair


class Address:
    """The address of "the database": it leads to one server, and then to another; sessions that it has stay."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._flows: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def open(self) -> str:
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1")
        port = self._listener.sockets[0].getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{NAME}"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection("127.0.0.1", self.server.port)
        for source, sink in ((reader, on), (back, writer)):
            task = asyncio.create_task(_flow(source, sink))
            self._flows.add(task)
            task.add_done_callback(self._flows.discard)

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in tuple(self._flows):
            task.cancel()


async def _flow(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()


@pytest.fixture
async def address(pair: Pair) -> AsyncIterator[Address]:
    address = Address(pair.primary)
    yield address
    await address.close()


async def test_sessions_on_a_demoted_primary_are_dropped(pair: Pair, address: Address) -> None:
    """They outlive the demotion (behind an address or a pooler), still read, and would refuse writes for ever."""
    address.server = pair.standby
    async with opened(await address.open()) as directory:
        assert await directory.ids("Organization", name="x") == []
        refused = await create(directory, "trop-tôt")
        assert refused.status_code == 503
        address.server = pair.primary
        assert (await create(directory, "puis")).status_code == 201, (
            "the session that could not write is gone"
        )


async def test_every_session_is_dropped_when_one_finds_itself_on_a_demoted_primary(
    pair: Pair, address: Address
) -> None:
    address.server = pair.standby
    async with Database(await address.open(), size=3, statement_timeout_s=60) as database:
        old = [await database.pool.acquire() for _ in range(3)]
        pids = {await connection.fetchval("SELECT pg_backend_pid()") for connection in old}
        for connection in old:
            await database.pool.release(connection)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with database.transaction() as writing:
                await writing.execute("CREATE TABLE t ()")
        address.server = pair.primary
        new = [await database.pool.acquire() for _ in range(3)]
        assert not any([await connection.fetchval("SELECT pg_is_in_recovery()") for connection in new]), pids
        for connection in new:
            await database.pool.release(connection)


async def test_who_has_no_token_is_answered_by_the_standby_and_who_has_one_by_the_primary(pair: Pair) -> None:
    """Seen by what each shows while the standby applies nothing; it falls back when it is too old, and when it is gone."""
    reads = {"database_read_url": pair.standby.url(NAME), "database_read_lag_max_s": 3600.0}
    async with opened(pair.primary.url(NAME), **reads) as directory:
        first, second = f"premier{uuid4().hex}", f"second{uuid4().hex}"
        id_ = (await create(directory, first)).json()["id"]
        pair.caught_up()
        assert await found(directory, first) == 1
        pair.standby.execute("SELECT pg_wal_replay_pause()")
        later = (await create(directory, second)).json()["id"]
        assert await found(directory, second, token=True) == 1
        assert await found(directory, second) == 0, "the standby answered"
        assert (await read(directory, id_)).status_code == 200
        assert (await read(directory, later)).status_code == 404, "by id as well"
        pair.standby.kill()
        assert await found(directory, second) == 1, "the primary answers in its place"
        assert (await read(directory, later)).status_code == 200
    pair.standby.start()


async def test_a_standby_that_lags_is_not_read_from(pair: Pair) -> None:
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    reads = {"database_read_url": pair.standby.url(NAME), "database_read_lag_max_s": 1e-6}
    try:
        async with opened(pair.primary.url(NAME), **reads) as directory:
            name = f"neuf{uuid4().hex}"
            assert (await create(directory, name)).status_code == 201
            assert await found(directory, name) == 1
    finally:
        pair.standby.execute("SELECT pg_wal_replay_resume()")


async def test_a_standby_that_was_never_there_hinders_nobody(pair: Pair) -> None:
    async with opened(
        pair.primary.url(NAME), database_read_url="postgresql://postgres@127.0.0.1:9/x"
    ) as directory:
        assert await found(directory, "x") == 0


async def test_a_url_that_names_several_servers_follows_the_primary(pair: Pair) -> None:
    """The standby is named first; after the primary has died and the standby was promoted, nothing is told anew."""
    async with opened(pair.url) as directory:
        assert (await create(directory, "avant")).status_code == 201
        pair.caught_up()
        pair.primary.kill()
        pair.standby.execute("SELECT pg_promote()")
        answers: list[int] = []

        async def written() -> bool:
            answers.append((await create(directory, "après")).status_code)
            return answers[-1] == 201

        await eventually(written, "the new primary is found", within_s=60)
        assert set(answers) <= {201, 503}
        assert len(await directory.ids("Organization", name="avant")) == 1


async def create(directory: Directory, name: str) -> httpx.Response:
    body = {"resourceType": "Organization", "name": name}
    return await directory.client.post("/fhir/Organization", json=body)


async def found(directory: Directory, name: str, *, token: bool = False) -> int:
    """How many Organizations of this name a search shows, by default to nobody in particular."""
    headers = None if token else {"Authorization": ""}
    answer = await directory.client.get("/fhir/Organization", params={"name": name}, headers=headers)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["total"])


async def read(directory: Directory, id_: str) -> httpx.Response:
    return await directory.client.get(f"/fhir/Organization/{id_}", headers={"Authorization": ""})
