"""`sslmode` and its like in DATABASE_URL reach the pool and the migrations alike."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from deploy.gateway.certificates import self_signed
from sqlalchemy import text
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.tls import postgres, tls_before

from creneau_shared.database.migrations import open_engine
from creneau_shared.database.pool import Database


@pytest.fixture
async def encrypted(new_database: NewDatabase, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database behind TLS, without parameters."""
    url = new_database()
    certificate, key = self_signed(tmp_path)
    port = urlsplit(url).port
    assert port is not None
    async with tls_before(port, certificate, key, negotiation=postgres) as listening:
        yield url.replace(f":{port}/", f":{listening}/")


async def ask_pool(url: str) -> int:
    async with Database(url, size=1, statement_timeout_s=60) as database:
        return int(await database.pool.fetchval("SELECT 1"))


async def ask_engine(url: str) -> int:
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            return int((await connection.execute(text("SELECT 1"))).scalar_one())
    finally:
        await engine.dispose()


@pytest.mark.parametrize("ask", [ask_pool, ask_engine])
async def test_the_server_is_verified(ask, encrypted: str, tmp_path: Path) -> None:
    trusted = f"{encrypted}?sslmode=verify-full&sslrootcert={quote(str(tmp_path / 'certificate.pem'))}"
    assert await ask(trusted) == 1
    other, _ = self_signed(tmp_path / "other")
    with pytest.raises(ssl.SSLError):
        await ask(f"{encrypted}?sslmode=verify-full&sslrootcert={quote(str(other))}")


@pytest.mark.parametrize("ask", [ask_pool, ask_engine])
async def test_a_server_without_tls_is_refused_where_tls_is_required(ask, new_database: NewDatabase) -> None:
    with pytest.raises(ConnectionError):
        await ask(f"{new_database()}?sslmode=require")
