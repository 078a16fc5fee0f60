"""Leaving for a provider, coming back, and logging out. All by GET: a form may not lead to another site (form-action)."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import structlog
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from creneau_web.auth.accounts import account_of, tokens_of
from creneau_web.auth.facts import Pending
from creneau_web.auth.failure import LoginError, Reason
from creneau_web.auth.metrics import DONE, LOGIN_SECONDS, LOGINS
from creneau_web.page import PERSONAL, CurrentPage, Page, local_path
from creneau_web.pages.sign_in import let_in
from creneau_web.sessions.forms import comes_from_here
from creneau_web.sessions.session import Account, Content

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/auth")

PENDING_MAX = 5
"""log-ins that one browser may have begun at once: pages in several tabs, a link pressed twice"""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

FAILED = "/auth/echec"

STATUS: dict[Reason, int] = {"declined": 403, "stale": 400, "level": 403, "untrusted": 400, "silent": 503}


@router.get("/connexion")
async def leave(
    page: CurrentPage,
    par: Annotated[str, Query(max_length=40)] = "",
    retour: Annotated[str, Query(max_length=2000)] = "/",
) -> Response:
    """To the provider `par` (the first that is offered), and later back to the page `retour`."""
    named = _by_its_own_name(page)
    if named is not None:
        return RedirectResponse(named, 303, headers=PERSONAL)
    login, back = page.site.login, local_path(retour)
    name = par or next(iter(login.offered), "")
    try:
        url, state, pending = await login.begin(name, back)
    except LoginError as error:
        return _failed(page, error, name, back)
    session = await page.own_session()

    def with_this_one(content: Content) -> Content:
        kept = {**(content.login or {}), state: pending.model_dump(mode="json")}
        return content.model_copy(update={"login": dict(list(kept.items())[-PENDING_MAX:])})

    await page.site.sessions.change(session, with_this_one)
    return RedirectResponse(url, 303, headers=PERSONAL)


@router.get("/retour")
async def come_back(page: CurrentPage) -> Response:
    """From the provider: who it is, then on to where they were going, with a new session key. Asked for twice, it lets in
    once."""
    if page.session is None:
        return _failed(page, LoginError("stale", "state"), "", "/")
    async with page.entering():
        return await _returned(page)


async def _returned(page: Page) -> Response:
    returned = dict(page.request.query_params)
    pending = await _take(page, returned.get("state", ""))
    if pending is None:
        if page.account is not None:
            return page.go("/")  # the browser's back button led here again
        return _failed(page, LoginError("stale", "state"), "", "/")
    try:
        with LOGIN_SECONDS.labels(pending.provider).time():
            done = await page.site.login.complete(pending, returned)
    except LoginError as error:
        return _failed(page, error, pending.provider, pending.back)
    LOGINS.labels(pending.provider, DONE).inc()
    session = await page.own_session()
    session.content = session.content.model_copy(update={"login": None})
    return await let_in(page, account_of(done), pending.back)


@router.get("/echec", response_class=HTMLResponse)
async def failed(
    page: CurrentPage, raison: Reason, retour: Annotated[str, Query(max_length=2000)] = "/"
) -> HTMLResponse:
    """Why nobody is logged in, and what to do."""
    return await page.show("login_failed.html", STATUS[raison], reason=raison, back=local_path(retour))


@router.get("/deconnexion")
async def log_out(page: CurrentPage) -> Response:
    """The session is gone here, also that of whose account has ended before; then the browser goes to the provider, to be
    logged out there too."""
    if not comes_from_here(page.request.headers, page.site.settings.public_site_url):
        return page.go("/")  # another site's link logs nobody out
    if page.account is not None:
        url = await log_out_here(page, page.account, said="login.logged_out")
    elif page.session is not None and page.session.content.former is not None:
        url = page.session.content.leave
        await page.begin_anew(said="login.logged_out")
    else:
        url = None
    return RedirectResponse(url or "/", 303, headers=PERSONAL)


async def log_out_here(page: Page, account: Account, **kept: Any) -> str | None:
    """Replaces the session by another with `kept` as its content, and revokes the token. Returns the address where the
    browser logs out at the provider too, if there is one."""
    await page.begin_anew(**kept)
    tokens = tokens_of(account)
    return await page.site.login.end(account.provider, tokens) if tokens else None


def _by_its_own_name(page: Page) -> str | None:
    """The same address by the host name that the provider sends people back to, if another name of this machine was typed
    (`localhost`): a cookie goes with a name."""
    site, asked = urlsplit(page.site.settings.public_site_url), page.request.url
    same = asked.hostname == site.hostname
    if same or asked.hostname not in LOOPBACK_NAMES or site.hostname not in LOOPBACK_NAMES:
        return None
    return urlunsplit((site.scheme, site.netloc, asked.path, asked.query, ""))


async def _take(page: Page, state: str) -> Pending | None:
    """Takes the log-in begun with this state in this browser; a second call finds none."""
    session, found = page.session, []
    if session is None:
        return None

    def without_it(content: Content) -> Content:
        kept = dict(content.login or {})
        found.append(kept.pop(state, None))
        return content.model_copy(update={"login": kept or None})

    await page.site.sessions.change(session, without_it)
    return Pending.model_validate(found[0]) if found[0] is not None else None


def _failed(page: Page, error: LoginError, provider: str, back: str) -> Response:
    """Redirects to the page that says why, away from the address with the code."""
    known = provider if provider in page.site.login.offered else "none"
    LOGINS.labels(known, error.reason).inc()
    log.warning("login.failed", reason=error.reason, detail=error.detail, provider=known)
    return page.go(FAILED, raison=error.reason, retour=back)
