"""Security headers on every answer of every process, so that browsers treat it as data and nothing else.

Pages have a policy of their own (from nginx for its pages, from the web service for the others). nginx sets
Strict-Transport-Security, since it knows whether there is TLS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""an API answer opened as a page loads nothing, runs nothing and cannot be framed"""

PROTECTION: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def protected(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with the security headers that it lacks."""
    given = list(headers)
    names = {name for name, _ in given}
    return given + [header for header in PROTECTION if header[0] not in names]
