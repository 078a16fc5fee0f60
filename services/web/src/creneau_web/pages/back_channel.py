"""A provider's word that somebody has logged out there (OpenID Connect Back-Channel Logout 1.0): their session ends here too.

It comes from the provider itself, without a cookie and without a form of ours: what is believed is its signature.
"""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from creneau_web.auth.failure import LoginError
from creneau_web.auth.metrics import ENDED_AT_PROVIDER
from creneau_web.page import PERSONAL
from creneau_web.site import Site

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/auth/deconnexion")

TOKEN_MAX = 16_384
"""characters"""


@router.post("/{provider}", response_model=None)
async def log_out(
    request: Request, provider: str, logout_token: Annotated[str, Form(max_length=TOKEN_MAX)] = ""
) -> Response:
    """200 once the session is gone, also where there was none; 400 for a token that is not believed."""
    site: Site = request.app.state.site
    try:
        ended = await site.login.ended(provider, logout_token)
    except LoginError as error:
        log.warning("login.logout_token_refused", reason=error.reason, detail=error.detail)
        status = 503 if error.reason == "silent" else 400
        return JSONResponse({"error": "invalid_request"}, status, headers=PERSONAL)
    ENDED_AT_PROVIDER.labels(provider).inc(await site.sessions.end_at_provider(ended))
    return Response(status_code=200, headers=PERSONAL)
