"""What a person sees when something is not there, not allowed, or does not work: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_web.auth.accounts import tokens_of
from creneau_web.fhir.refusal import RefusedError, UnreachableError
from creneau_web.page import (
    READING,
    EnteredAlreadyError,
    ForeignFormError,
    LinkTimeOverError,
    NotAPatientError,
    Page,
    SignInNeededError,
    get_page,
)
from creneau_web.pages.booking.draft import BookedAlreadyError
from creneau_web.sessions.forms import comes_from_here
from creneau_web.sessions.session import SessionOverError
from creneau_web.site import Site
from creneau_web.visits.records import NoTimeYetError

log = structlog.get_logger(__name__)

WRITTEN = ("message", "texte", "reason")
"""form fields of free text"""
EXPIRED, FORBIDDEN, GONE = 401, 403, (404, 410)
NOT_FOUND, WRONG_METHOD, GONE_BY_TIME = 404, 405, 410
TOO_OFTEN, FAULT, NEVER, UNAVAILABLE = 429, 500, 501, 503


def handle(pages: FastAPI) -> None:
    """Tell the application what to do with each kind of failure."""
    pages.add_exception_handler(SignInNeededError, _sign_in)
    pages.add_exception_handler(EnteredAlreadyError, _entered_already)
    pages.add_exception_handler(LinkTimeOverError, _link_time_over)
    pages.add_exception_handler(BookedAlreadyError, _booked_already)
    pages.add_exception_handler(NoTimeYetError, _no_time_yet)
    pages.add_exception_handler(RefusedError, _refused)
    pages.add_exception_handler(UnreachableError, _unreachable)
    pages.add_exception_handler(ForeignFormError, _foreign_form)
    pages.add_exception_handler(SessionOverError, _foreign_form)
    pages.add_exception_handler(NotAPatientError, _not_a_patient)
    pages.add_exception_handler(RequestValidationError, _unreadable)
    pages.add_exception_handler(HTTPException, _http)
    for failure in DATABASE_FAILURES:
        pages.add_exception_handler(failure, _unreachable)
    pages.add_exception_handler(Exception, _unexpected)


async def _sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeededError)
    page = _page(request)
    await page.keep_unsent()
    return page.go("/connexion", retour=error.back)


async def _entered_already(request: Request, error: Exception) -> Response:
    assert isinstance(error, EnteredAlreadyError)
    return _page(request).go(error.back)


async def _link_time_over(request: Request, _: Exception) -> Response:
    page = _page(request)
    await page.keep_unsent()
    text = page.wording.t("link.time_over.text")
    return await page.show_form("by_link/over.html", GONE_BY_TIME, heading="link.time_over", text=text)


async def _booked_already(request: Request, error: Exception) -> Response:
    assert isinstance(error, BookedAlreadyError)
    return _page(request).go(f"/rendez-vous/{error.appointment}")


async def _no_time_yet(request: Request, error: Exception) -> Response:
    assert isinstance(error, NoTimeYetError)
    return _page(request).go(f"/liste-attente/{error.appointment}")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    refusal, page = error.refusal, _page(request)
    if refusal.status == EXPIRED and page.session is not None and page.account is not None:
        account = page.account
        if account.waits_for_issuer(page.site.clock.now()):
            return await _unreachable(request, error)
        # The token has ended: the person logs in again and comes back to the same page.
        tokens = tokens_of(account)
        way_out = await page.site.login.way_out(account.provider, tokens) if tokens else None
        await page.site.sessions.change(page.session, lambda content: content.logged_out(account, way_out))
        if account.is_for_one_visit:
            reads = request.method in READING  # a public page is shown without it
            return page.go(page.here) if reads else await _link_time_over(request, error)
        await page.keep_unsent()
        return page.go("/connexion", retour=page.here)
    if refusal.status in GONE:
        return await _told(page, "not_found" if request.method in ("GET", "HEAD") else "gone", 404)
    if refusal.status == FORBIDDEN:
        return await _told(page, "forbidden", 403, refusal.text)
    if refusal.status == TOO_OFTEN:
        return await _to_be_tried_again(page, TOO_OFTEN, "later", refusal.text)
    if refusal.status >= FAULT and refusal.status != NEVER:
        return await _unreachable(request, error)
    return await _told(page, "refused", refusal.status, refusal.text)


async def _unreachable(request: Request, error: Exception) -> Response:
    log.warning("page.unreachable", error=error)
    return await _to_be_tried_again(_page(request), UNAVAILABLE)


async def _to_be_tried_again(
    page: Page, status: int, kind: str = "unreachable", reason: str = ""
) -> Response:
    """Says to try again; `reason`: why, in words of the base. Keeps what was sent for its page if possible; else shows its
    free text."""
    kept = False
    try:
        kept = await page.keep_unsent()
    except Exception as error:
        log.warning("page.unsent_lost", error=error)
    written = [] if kept or page.request.method in READING else await _written(page.request)
    told = page.wording.t(f"failure.{kind}.kept") if kept else ""
    text = f"{reason} {told}".strip()
    return await _told(page, kind, status, text, written=written, again=page.here)


async def _written(request: Request) -> list[str]:
    """The free text of the request's form."""
    try:
        form = await request.form()
    except Exception as error:
        log.warning("page.form_unread", error=error)
        return []
    texts = (form.get(name) for name in WRITTEN)
    return [text for text in texts if isinstance(text, str) and text.strip()]


async def _foreign_form(request: Request, _: Exception) -> Response:
    """Most often the session has ended: says where to go on, and shows the free text, to be copied. Keeps nothing, and shows
    nothing that another site sends. Without a cookie, the session has ended or the browser takes none."""
    page = _page(request)
    ours = comes_from_here(request.headers, page.site.settings.public_site_url)
    written = await _written(request) if ours else []
    kind = "no_cookie" if ours and page.site.cookie.read(request) is None else "form_expired"
    phone = await _telephone(page) if kind == "no_cookie" else None
    return await _told(page, kind, 403, written=written, again=page.here, phone=phone)


async def _telephone(page: Page) -> str | None:
    """The telephone of the page's professional, if it can be read."""
    role = page.request.path_params.get("role")
    try:
        return (await page.site.directory.professional(page.fhir, role)).phone if role else None
    except (RefusedError, UnreachableError):
        return None


async def _not_a_patient(request: Request, _: Exception) -> Response:
    return await _told(_page(request), "not_a_patient", 403)


async def _unreadable(request: Request, _: Exception) -> Response:
    return await _told(_page(request), "unreadable", 400)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = "not_found" if error.status_code in (NOT_FOUND, WRONG_METHOD) else "refused"
    answer = await _told(await _page_of_anybody(request), kind, error.status_code)
    if error.status_code == WRONG_METHOD:
        answer.headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return answer


def _methods_at(request: Request) -> set[str]:
    """The methods of an address, over all of its routes; HEAD if there is GET."""
    routes: Sequence[Route] = request.app.state.routes
    there = (route for route in routes if route.path_regex.fullmatch(request.url.path))
    found = {method for route in there for method in route.methods or ()}
    return found | {"HEAD"} if "GET" in found else found


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("page.failed", exc_info=error)
    return await _to_be_tried_again(_page(request), 500)


async def _told(
    page: Page,
    kind: str,
    status: int,
    text: str = "",
    *,
    written: Sequence[str] = (),
    again: str = "",
    phone: str | None = None,
) -> Response:
    values = {"kind": kind, "text": text, "written": written, "again": again, "phone": phone}
    try:
        return await page.show("failure.html", status, **values)
    except Exception as error:
        log.error("page.failure_failed", exc_info=error)
        return HTMLResponse("<!doctype html><title>Créneau</title><h1>Créneau</h1>", status)


async def _page_of_anybody(request: Request) -> Page:
    """The page with its session, read now if no route has read it; without a session while none can be read."""
    if hasattr(request.state, "session"):
        return _page(request)
    try:
        return await get_page(request)
    except DATABASE_FAILURES as error:
        log.warning("page.without_session", error=error)
        return _page(request)


def _page(request: Request) -> Page:
    """The page of a request as it was read, with its form."""
    site: Site = request.app.state.site
    asked = getattr(request.state, "asked", request)
    return Page(asked, site, getattr(request.state, "session", None))
