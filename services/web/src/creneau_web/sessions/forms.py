"""What keeps another site from sending our forms: where a request comes from, and the key that the form holds."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from creneau_web.sessions.session import Session

FIELD = "form_key"
SAME_SITE = frozenset({"same-origin", "none"})


def comes_from_here(headers: Mapping[str, str], site_url: str) -> bool:
    """Whether a form was sent from one of our own pages, as far as the browser says (Origin, Sec-Fetch-Site).

    A browser that says neither is judged by the form's key alone.
    """
    fetched = headers.get("sec-fetch-site")
    if fetched is not None and fetched not in SAME_SITE:
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        ours, theirs = urlsplit(site_url), urlsplit(origin)
    except ValueError:
        return False
    return (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)


def has_key(session: Session | None, given: object) -> bool:
    """Whether the form holds the key of this session."""
    return (
        session is not None
        and isinstance(given, str)
        and hmac.compare_digest(session.form_key.encode(), given.encode())
    )
