"""Of one session, one request renews the tokens; the others wait for it and go on with what it got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Database
from creneau_web.auth.accounts import with_tokens
from creneau_web.auth.facts import Tokens
from creneau_web.auth.keeping import RENEWAL, Keeping
from creneau_web.sessions.seal import Seal
from creneau_web.sessions.session import Account, Content, Session
from creneau_web.sessions.store import Sessions

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
FRESH = Tokens(
    access_token="second", expires_at=NOW + timedelta(minutes=15), refresh_token="r2", id_token="i"
)


def session() -> Session:
    account = Account(subject="s", access_token="first", expires_at=NOW, refresh_token="r1", id_token="i")
    return Session(Seal("cookie"), "form", Content(account=account))


@dataclass
class Stored:
    """The store, with one session, and the issuer, which answers when it is let."""

    kept: Session | None = field(default_factory=session)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    renewed: list[Tokens] = field(default_factory=list)
    gets: Tokens | None = FRESH

    async def find(self, key: str) -> Session | None:
        return None if self.kept is None else Session(Seal("cookie"), "form", self.kept.content)

    async def claim_renewal(self, session: Session, lasts: timedelta) -> datetime | None:
        return NOW + lasts

    async def leave_renewal(self, session: Session, until: datetime) -> None:
        return None

    async def change(self, session: Session, change: Callable[[Content], Content]) -> None:
        """Of a row that is gone it changes nothing."""
        session.content = change(session.content if self.kept is None else self.kept.content)
        if self.kept is not None:
            self.kept = session

    def is_due(self, tokens: Tokens) -> bool:
        return tokens.access_token == "first"

    async def renew(self, tokens: Tokens) -> Tokens | None:
        self.renewed.append(tokens)
        await self.answers.wait()
        return self.gets

    async def way_out(self, provider: str, tokens: Tokens) -> str | None:
        return None


async def several(stored: Stored, *, meanwhile: Any = None) -> list[Session | None]:
    keeping = Keeping(stored, stored)  # type: ignore[arg-type]
    begun = [asyncio.ensure_future(keeping.fresh(session(), "key")) for _ in range(5)]
    for _ in range(50):
        await asyncio.sleep(0)
    if meanwhile:
        meanwhile()
    stored.answers.set()
    return await asyncio.gather(*begun)


async def test_five_pages_at_once_renew_once() -> None:
    stored = Stored()
    found = await several(stored)
    assert len(stored.renewed) == 1
    tokens = {one.account.access_token for one in found if one and one.account}
    assert (len(found), tokens) == (5, {"second"})


async def test_who_logs_out_meanwhile_is_logged_out_for_those_who_waited() -> None:
    stored = Stored()

    def log_out() -> None:
        stored.kept = None

    found = await several(stored, meanwhile=log_out)
    assert found[1:] == [None] * 4
    assert len(stored.renewed) == 1


async def test_what_another_process_has_renewed_stays() -> None:
    """The issuer takes the refresh token from one of the two, and calls it used for the other."""
    stored = Stored(gets=None)
    renewed = with_tokens(Account(subject="s", access_token=""), FRESH)

    def elsewhere() -> None:
        stored.kept = Session(Seal("cookie"), "form", Content(account=renewed))

    assert [one and one.account for one in await several(stored, meanwhile=elsewhere)] == [renewed] * 5


# -- several processes -------------------------------------------------------------------------------------------


@dataclass
class Revoking:
    """An issuer whose refresh tokens are for one use: who brings one twice is taken for a thief, and the session ends."""

    serves: str | None = "r1"
    used: list[str | None] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def is_due(self, tokens: Tokens) -> bool:
        return tokens.access_token == "first"

    async def renew(self, tokens: Tokens) -> Tokens | None:
        self.used.append(tokens.refresh_token)
        known, self.serves = tokens.refresh_token == self.serves, None
        self.asked.set()
        await self.answers.wait()
        return FRESH if known else None

    async def way_out(self, provider: str, tokens: Tokens) -> str | None:
        return None


class Trying(Sessions):
    """Tells when somebody has tried to have the renewal to itself."""

    tried = asyncio.Event()

    async def claim_renewal(self, session: Session, lasts: timedelta) -> datetime | None:
        until = await super().claim_renewal(session, lasts)
        self.tried.set()
        return until


async def test_two_processes_renew_once(new_database: Any, migrated_web: str) -> None:
    """Two requests of a session at once, each at another process: the second goes on with what the first got."""
    url = new_database(template=migrated_web)
    clock, issuer = FixedClock(NOW), Revoking()
    times = {"idle": timedelta(hours=1), "longest": timedelta(hours=9)}
    async with (
        Database(url, size=2, statement_timeout_s=60, name="one") as one,
        Database(url, size=2, statement_timeout_s=60, name="another") as another,
    ):
        here, there = Sessions(one, clock, **times), Trying(another, clock, **times)
        begun = await here.begin(session().content)
        found = await there.find(begun.key or "")
        assert found is not None
        first = asyncio.create_task(Keeping(issuer, here).fresh(begun, begun.key or ""))  # type: ignore[arg-type]
        await issuer.asked.wait()
        second = asyncio.create_task(Keeping(issuer, there).fresh(found, begun.key or ""))  # type: ignore[arg-type]
        await there.tried.wait()
        issuer.answers.set()
        renewed = [one and one.account and one.account.access_token for one in (await first, await second)]
        assert renewed == ["second", "second"]
        assert issuer.used == ["r1"]
        assert await here.claim_renewal(begun, RENEWAL) is not None, "given back"


async def test_a_process_that_ended_in_the_middle_of_a_renewal_keeps_nobody_from_it(
    new_database: Any, migrated_web: str
) -> None:
    url, clock = new_database(template=migrated_web), FixedClock(NOW)
    async with Database(url, size=2, statement_timeout_s=60, name="one") as database:
        sessions = Sessions(database, clock, idle=timedelta(hours=1), longest=timedelta(hours=9))
        begun = await sessions.begin(session().content)
        lost = await sessions.claim_renewal(begun, RENEWAL)
        assert lost is not None
        assert await sessions.claim_renewal(begun, RENEWAL) is None
        clock.advance(RENEWAL)
        taken = await sessions.claim_renewal(begun, RENEWAL)
        assert taken is not None
        await sessions.leave_renewal(begun, lost)
        assert await sessions.claim_renewal(begun, RENEWAL) is None, "it is not the late one's to give back"
