"""Keeps tokens fresh while somebody uses the pages: one that is about to end is renewed before a page uses it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import structlog

from creneau_web.auth.accounts import tokens_of, with_tokens
from creneau_web.auth.facts import Tokens
from creneau_web.auth.failure import LoginError
from creneau_web.auth.login import Login
from creneau_web.auth.metrics import DONE, RENEWALS
from creneau_web.sessions.session import Content, Session
from creneau_web.sessions.store import Sessions

log = structlog.get_logger(__name__)


RENEWAL = timedelta(seconds=30)
"""time after which a process that renews is taken for gone: longer than the wait for an issuer"""
LOOK_S, LOOKS_MAX = 0.1, 100
"""pause (seconds) between looks whether another process has renewed the tokens, and most looks; then the old tokens are
used, which hold for a while still"""


class Keeping:
    """Renews the tokens of sessions: one request at a time for each session, over all processes. Two browser tabs would
    otherwise use the same refresh token, which some issuers take for theft."""

    def __init__(self, login: Login, sessions: Sessions) -> None:
        self._login = login
        self._sessions = sessions
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def fresh(self, session: Session, key: str) -> Session | None:
        """Returns the session with valid tokens; `key`: its cookie. If it has ended at the issuer, it is logged out. None
        when it was ended here meanwhile."""
        if self._due(session) is None:
            return session
        lock = self._locks.setdefault(session.key_hash, asyncio.Lock())
        async with lock:
            found = await self._sessions.find(key)
            for _ in range(LOOKS_MAX):
                if found is None or self._due(found) is None:
                    return found
                until = await self._sessions.claim_renewal(found, RENEWAL)
                if until is not None:
                    return await self._claimed(found, key, until)
                await asyncio.sleep(LOOK_S)
                found = await self._sessions.find(key)
            return found

    async def _claimed(self, session: Session, key: str, until: datetime) -> Session | None:
        """As `fresh`, for the request that has the renewal to itself: reads the session again first."""
        try:
            found = await self._sessions.find(key)
            due = self._due(found) if found else None
            return found if found is None or due is None else await self._renewed(found, due)
        finally:
            await self._sessions.leave_renewal(session, until)

    async def _renewed(self, session: Session, due: Tokens) -> Session:
        account = session.account
        assert account is not None
        try:
            tokens = await self._login.renew(due)
        except LoginError as error:
            # The FHIR base will say that the token has ended; the session stays for when the issuer is back.
            log.warning("login.refresh_failed", detail=error.detail)
            RENEWALS.labels(error.reason).inc()
            return session
        RENEWALS.labels(DONE if tokens else "ended").inc()
        if tokens == due:
            return session
        way_out = await self._login.way_out(account.provider, due) if tokens is None else None

        def renewed(content: Content) -> Content:
            """Applies the renewal, unless another process did meanwhile."""
            if tokens is None:
                return content.logged_out(account, way_out)
            same = content.account == account
            return content.model_copy(update={"account": with_tokens(account, tokens)}) if same else content

        await self._sessions.change(session, renewed)
        return session

    def _due(self, session: Session) -> Tokens | None:
        """The tokens of a session if they should be renewed, else None."""
        tokens = tokens_of(session.account) if session.account else None
        return tokens if tokens is not None and self._login.is_due(tokens) else None
