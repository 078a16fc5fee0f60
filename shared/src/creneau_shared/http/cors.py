"""Cross-origin access for browser apps (FHIR R4 http.html asks for it). Tokens are sent in a header, never in a cookie,
so any origin may be allowed without giving it anybody's session. nginx answers preflights itself, by the same values."""

from __future__ import annotations

import re
from typing import Any

from creneau_shared.correlation import Headers

_EXPOSED = (
    b"ETag, Location, Content-Location, Last-Modified, Expires, Preference-Applied, Retry-After, X-Progress,"
    b" Idempotency-Replayed, RateLimit-Policy, WWW-Authenticate, Warning, Allow, Accept-Patch, Content-Disposition,"
    b" X-Request-Id, X-Correlation-Id"
)
ALLOWED_HEADERS = (
    b"Accept, Accept-Language, Authorization, Content-Type, DPoP, Idempotency-Key, If-Match, If-Modified-Since,"
    b" If-None-Exist, If-None-Match, Prefer, X-Provenance, X-Purpose-Of-Use, X-Request-Id, X-Correlation-Id"
)
"""those that mean something here"""
NAMES = re.compile(rb"[\w!#$%&'*+.^`|~-]{1,64}(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]{1,64}){0,31}", re.ASCII)
"""a list of names of headers (RFC 9110 5.6.2), as browsers send it"""


READABLE: Headers = [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
"""the headers that let the calling page read an answer"""

PREFLIGHT: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]


async def answer_preflight(send: Any, asked: bytes, extra: Headers) -> None:
    """Answers a preflight request, with `extra` headers. `asked` are the headers that the page wants to send
    (Access-Control-Request-Headers): clients add some of their own, which mean nothing here and are let through."""
    names = b", ".join((ALLOWED_HEADERS, asked)) if NAMES.fullmatch(asked) else ALLOWED_HEADERS
    headers = [*PREFLIGHT, (b"access-control-allow-headers", names), *extra]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
