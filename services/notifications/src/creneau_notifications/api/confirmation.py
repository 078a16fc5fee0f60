"""/confirmer/<token>: the owner of an address says that it is theirs, or that it is not.

GET shows a page with two buttons and changes nothing, so that mail scanners, which follow links before the reader does,
answer nothing. POST records the answer, as often as one likes. Whoever holds the token has read the message; nothing else is
asked, and the page names nobody.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args
from urllib.parse import parse_qs

import structlog
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from creneau_notifications.rendering.page import PAGE_STYLE, Situation, Version, page, tag
from creneau_notifications.storage import addresses
from creneau_notifications.storage.addresses import Link
from creneau_shared.choices import one_of
from creneau_shared.clock import Clock
from creneau_shared.database.failures import NO_CONNECTION
from creneau_shared.database.pool import RETRY_AFTER_S, Database
from creneau_shared.fhir.outcome import negotiate_language
from creneau_shared.logging import describe

PATH = "/confirmer/{token}"
FORM_BYTES_MAX = 256
Answer = Literal["confirm", "refuse"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
VERSIONS: tuple[Version, ...] = get_args(Version)

log = structlog.get_logger(__name__)

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
_STYLE_HASH = b64encode(hashlib.sha256(PAGE_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}
_STATUS: dict[Situation, int] = {"unknown": 404, "ended": 410, "unclear": 400, "away": 503}


@dataclass(frozen=True)
class ConfirmationPages:
    """Serves the pages over the service's database. `refusal`: how long “not me” holds; `site_url`: the other pages for the
    public, no trailing slash."""

    database: Database
    clock: Clock
    refusal: timedelta
    site_url: str

    def serve(self, app: FastAPI) -> None:
        """Add the routes: the reader's language, or the one that the address ends with."""
        for path in (PATH, f"{PATH}/{{language}}"):
            app.add_api_route(path, self.show, methods=["GET", "HEAD"], include_in_schema=False)
            app.add_api_route(path, self.answer, methods=["POST"], include_in_schema=False)

    async def show(self, request: Request, token: str, language: str | None = None) -> Response:
        """What can be said, and what has been said already."""
        try:
            situation = await self._situation(token)
        except NO_CONNECTION as error:
            situation = _away(error)
        return self._page(request, token, language, situation)

    async def answer(self, request: Request, token: str, language: str | None = None) -> Response:
        """Put down what the owner says; the page then shows it, with the way back."""
        said = await _answer_of(request)
        try:
            situation = await self._put_down(token, said)
        except NO_CONNECTION as error:
            situation = _away(error)
        return self._page(request, token, language, situation)

    async def _situation(self, token: str) -> Situation:
        async with self.database.connection() as connection:
            link = await addresses.find_link(connection, token) if _TOKEN.fullmatch(token) else None
            situation = self._unusable(link)
            if link is not None and situation is None:
                situation = await addresses.state_of(connection, link, self.clock.now())
        return situation or "unknown"

    async def _put_down(self, token: str, said: Answer | None) -> Situation:
        now = self.clock.now()
        async with self.database.transaction() as connection:
            link = await addresses.find_link(connection, token) if _TOKEN.fullmatch(token) else None
            situation = self._unusable(link)
            if link is not None and situation is None:
                match said:
                    case "confirm":
                        await addresses.confirm(connection, link, now)
                    case "refuse":
                        await addresses.refuse(connection, link, now, now + self.refusal)
                    case None:
                        situation = "unclear"
                situation = situation or await addresses.state_of(connection, link, now)
        return situation or "unknown"

    def _unusable(self, link: Link | None) -> Situation | None:
        if link is None:
            return "unknown"
        return "ended" if link.expires_at <= self.clock.now() else None

    def _page(self, request: Request, token: str, language: str | None, situation: Situation) -> Response:
        if language not in (None, *VERSIONS):
            situation = "unknown"
        chosen = one_of(VERSIONS, language) or negotiate_language(request.headers.get("accept-language"))
        path = f"/confirmer/{token}" if _TOKEN.fullmatch(token) else "/confirmer/-"
        return HTMLResponse(
            page(situation, chosen, path, self.site_url),
            _STATUS.get(situation, 200),
            headers={
                **_HEADERS,
                "Content-Language": tag(chosen),
                **({"Retry-After": str(RETRY_AFTER_S)} if situation == "away" else {}),
            },
        )


def _away(error: Exception) -> Situation:
    log.warning("confirmation page without its database", error=describe(error))
    return "away"


async def _answer_of(request: Request) -> Answer | None:
    """The button that was pressed (application/x-www-form-urlencoded); None for anything else."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            return None
    try:
        values = parse_qs(body.decode("ascii"), max_num_fields=4).get("answer", [])
    except ValueError:
        return None
    return one_of(ANSWERS, values[0]) if len(values) == 1 else None
