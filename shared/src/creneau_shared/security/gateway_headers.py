"""What the entrance says of a request that the request cannot say of itself: from where it came, with which client
certificate, and as what it was first asked.

nginx sets these headers on every request that it passes on, whatever its client sent under their names, and the
gateway process hands them on. They are believed only beside the deployment's secret (`GATEWAY_SECRET`), so that
whoever reaches a service past the entrance cannot make them up.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

SECRET = "x-gateway-secret"  # noqa: S105 - the name of a header
REQUEST = "x-gateway-request"
"""`<id> <method> <path>`: nginx's own number of the request, and what its client asked for, without the query"""
ADDRESS = "x-client-address"
CERTIFICATE = "x-client-certificate"
"""the client's certificate, verified by nginx against the deployment's CAs: PEM, percent-encoded"""

HANDED_ON = (SECRET, REQUEST, ADDRESS, CERTIFICATE)


@dataclass(frozen=True, slots=True)
class Handed:
    """What the entrance says of one request."""

    id: str
    method: str
    path: str
    address: str | None
    """the client's address: for limits, hashed at once, never stored or logged"""
    certificate: str | None


class GatewayHeaders:
    """Reads the entrance's headers where they can be believed. Without a secret they never are."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> Handed | None:
        """What the entrance says of a request with these (ASGI) headers; None when it did not come from there."""
        if not self._secret:
            return None
        found = {name.decode("latin-1"): value for name, value in headers if name.startswith(b"x-")}
        if not hmac.compare_digest(found.get(SECRET, b""), self._secret):
            return None
        asked = found.get(REQUEST, b"").decode("latin-1").split(" ", 2)
        identifier, method, path = asked if len(asked) == 3 else ("", "", "")
        return Handed(
            identifier,
            method,
            path,
            found.get(ADDRESS, b"").decode("latin-1") or None,
            found.get(CERTIFICATE, b"").decode("latin-1") or None,
        )
