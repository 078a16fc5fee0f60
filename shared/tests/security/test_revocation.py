"""What was taken back holds no more, in every process of a service, and what came after it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from shared.tests.security.conftest import NOW, FakeIssuer

from creneau_shared.database.pool import Database
from creneau_shared.errors import Unauthenticated
from creneau_shared.security.revocation import Kind, Revocations, revoke
from creneau_shared.security.tokens import TokenVerifier

NOW_S = int(NOW.timestamp())
FAR = NOW + timedelta(days=3650)


async def take_back(database: Database, kind: Kind, value: str, before: Any = NOW, until: Any = FAR) -> None:
    async with database.transaction() as connection:
        await revoke(connection, kind, value, issued_before=before, needed_until=until)


@pytest.mark.parametrize(
    ("kind", "value", "claims"),
    [
        ("token", "t-1", {"jti": "t-1"}),
        ("subject", "camille", {}),
        ("client", "logiciel", {"client_id": "logiciel"}),
        ("client", "logiciel", {"azp": "logiciel"}),
        ("subject", "camille", {"iat": ...}),
    ],
)
async def test_a_token_that_was_taken_back_is_refused_although_it_is_remembered(
    new_verifier: Callable[..., TokenVerifier],
    issuer: FakeIssuer,
    database: Database,
    kind: Kind,
    value: str,
    claims: dict[str, Any],
) -> None:
    """By two processes, which both knew it."""
    processes = [new_verifier(revocations=Revocations(database, 0.0)) for _ in range(2)]
    token = issuer.token(**{"iat": NOW_S - 60, **claims})
    for process in processes:
        await process.verify(token)
    await take_back(database, kind, value)
    for process in processes:
        with pytest.raises(Unauthenticated):
            await process.verify(token)


async def test_others_and_later_tokens_hold(
    new_verifier: Callable[..., TokenVerifier], issuer: FakeIssuer, database: Database
) -> None:
    verifier = new_verifier(revocations=Revocations(database, 0.0))
    await take_back(database, "subject", "camille")
    await take_back(database, "token", "camille")
    await verifier.verify(issuer.token(sub="dominique", iat=NOW_S - 60))
    await verifier.verify(issuer.token(iat=NOW_S))


async def test_the_later_word_counts_and_old_rows_go(database: Database) -> None:
    await take_back(database, "subject", "camille", NOW)
    await take_back(database, "subject", "camille", NOW - timedelta(days=1))
    await take_back(database, "client", "gone", until=NOW - timedelta(days=3650))
    await take_back(database, "token", "t-1")
    rows = await database.pool.fetch("SELECT value, issued_before FROM revoked_token ORDER BY value")
    assert [(row["value"], row["issued_before"]) for row in rows] == [("camille", NOW), ("t-1", NOW)]


async def test_the_table_is_read_as_seldom_as_said(database: Database) -> None:
    """One statement for all requests of the interval; and a database that is away lets nobody in unseen."""
    view = Revocations(database, 3600.0)
    await view.check({"sub": "camille"})
    await take_back(database, "subject", "camille")
    await view.check({"sub": "camille"})
    fresh = Revocations(database, 3600.0)
    await database.pool.execute("DROP TABLE revoked_token")
    with pytest.raises(asyncpg.UndefinedTableError):
        await fresh.check({"sub": "camille"})
