"""Who may see the operator's page, and press its buttons."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import orjson
from fastapi import Depends
from starlette.exceptions import HTTPException

from creneau_web.page import CurrentPage, Page, SignInNeededError
from creneau_web.sessions.session import Account

SCOPE = "creneau/operate"


def is_operator(account: Account | None) -> bool:
    """Whether the token that the issuer gave for this person has the operator's scope. It came from the issuer itself, so
    showing a page needs no new check; the FHIR base judges what acts."""
    if account is None:
        return False
    try:
        payload = account.access_token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return SCOPE in str(claims.get("scope", "")).split()
    except (IndexError, ValueError, binascii.Error, AttributeError):
        return False


async def get_operators_page(page: CurrentPage) -> Page:
    """The page for an operator; where it is open, for everybody who reads. SignInNeededError, or 403."""
    reads = page.request.method in ("GET", "HEAD")
    if is_operator(page.account) or (reads and page.site.collector.open_to_all):
        return page
    if page.account is None:
        raise SignInNeededError(page.here if reads else "/ops")
    raise HTTPException(403)


OperatorsPage = Annotated[Page, Depends(get_operators_page)]
