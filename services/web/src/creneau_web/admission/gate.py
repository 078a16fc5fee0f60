"""The entrance of the pages: lets requests in by the rule, has them wait a moment, and asks the rest to come back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from secrets import randbelow
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_web.admission.kinds import SAFE, kind_of
from creneau_web.admission.metrics import TURNED_AWAY, observe
from creneau_web.admission.rule import ORDER, Kind, Limits, Room
from creneau_web.page import EnteredAlreadyError, ForeignFormError, Page, check_sender
from creneau_web.pages.booking.draft import holds_a_time
from creneau_web.sessions.session import Session
from creneau_web.site import Site

log = structlog.get_logger(__name__)
UNKEPT: tuple[type[Exception], ...] = (
    ForeignFormError,
    EnteredAlreadyError,
    HTTPException,
    *DATABASE_FAILURES,
)
"""errors after which a sent form is not kept: it is no form of this session, or cannot be stored"""
App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class Queue:
    """The requests of one process: the rule, and the futures of those who wait."""

    def __init__(self, limits: Limits, wait_s: float) -> None:
        self.room = Room(limits)
        self._wait_s = wait_s
        self._waiting: dict[Kind, deque[asyncio.Future[None]]] = {kind: deque() for kind in ORDER}

    async def enter(self, kind: Kind) -> bool:
        """Whether a request of this kind is let in, at once or within the wait; if so, it has to `leave`."""
        verdict = self.room.ask(kind)
        if verdict == "wait":
            return await self._wait(kind)
        return verdict == "in"

    def leave(self) -> None:
        """Ends one request and lets the next in."""
        kind = self.room.leave()
        if kind is not None:
            self._waiting[kind].popleft().set_result(None)

    async def _wait(self, kind: Kind) -> bool:
        turn = asyncio.get_running_loop().create_future()
        self._waiting[kind].append(turn)
        try:
            await asyncio.wait([turn], timeout=self._wait_s)
        except asyncio.CancelledError:
            if self._was_let_in(kind, turn):
                self.leave()
            raise
        return self._was_let_in(kind, turn)

    def _was_let_in(self, kind: Kind, turn: asyncio.Future[None]) -> bool:
        if turn.done():
            return True
        self._waiting[kind].remove(turn)
        self.room.give_up(kind)
        return False


class Gate:
    """Pure ASGI middleware around the pages, inside `PageHeaders`."""

    def __init__(self, app: App, site: Site) -> None:
        settings = site.settings
        limits = Limits(
            settings.admission_looking_below,
            settings.admission_finishing_below,
            settings.admission_waiting_max,
        )
        self._app = app
        self._site = site
        self._queue = Queue(limits, settings.admission_wait_s)
        observe(self._queue.room)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        kind = kind_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if kind is None:
            await self._app(scope, receive, send)
            return
        request, session = Request(scope, receive), None
        if kind == "looking" and not self._queue.room.is_free(kind):
            session = await self._session(request)
            if session is not None and await self._holds(session):
                kind = "finishing"
        if await self._queue.enter(kind):
            try:
                await self._app(scope, receive, send)
            finally:
                self._queue.leave()
            return
        TURNED_AWAY.labels(kind).inc()
        session = session or await self._session(request)
        page = Page(request, self._site, session)
        answer = self._come_back(page, kept=await self._keep(page))
        await answer(scope, receive, send)

    async def _session(self, request: Request) -> Session | None:
        """The session, if it can be read now: it tells whether it holds a time, and the language. While the pages' database
        does not answer it is unknown, and a request that looks stays one."""
        key = self._site.cookie.read(request)
        try:
            return await self._site.sessions.find(key) if key else None
        except DATABASE_FAILURES as error:
            log.warning("admission.session_unknown", error=error)
            return None

    async def _holds(self, session: Session) -> bool:
        try:
            return await holds_a_time(self._site, session)
        except DATABASE_FAILURES as error:
            log.warning("admission.hold_unknown", error=error)
            return False

    async def _keep(self, page: Page) -> bool:
        """Keeps a form of this session for its page; returns whether it was kept."""
        try:
            if page.request.method not in SAFE:
                await check_sender(page)
            return await page.keep_unsent()
        except UNKEPT as error:
            log.warning("admission.unsent_lost", error=error)
            return False

    def _come_back(self, page: Page, *, kept: bool) -> HTMLResponse:
        """The page that says when to come back. A browser reloads a page by itself then. A form has to be sent again by the
        person, who finds it on its page if it was `kept`."""
        least = self._site.settings.admission_retry_s
        # Spread at random: requests turned away together would come back together.
        seconds = least + randbelow(least + 1)
        by_itself = page.request.method in SAFE
        headers = {"Retry-After": str(seconds), **({"Refresh": str(seconds)} if by_itself else {})}
        return page.drawn("busy.html", 503, headers, seconds=seconds, by_itself=by_itself, kept=kept)
