"""What tells a browser to make nothing of an answer but what it is: on every answer of every process.

The answers here are data. Pages come from nginx, which gives them a policy of their own, and gives these headers to
what it says itself. Strict-Transport-Security is nginx's to say: it knows whether there is TLS.
"""

from __future__ import annotations

from typing import Final

POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""an answer of an API that is opened as a page loads nothing, runs nothing and stands in no frame"""

PROTECTION: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
