"""The entrance's headers about a request: the client's address, its client certificate, and the original method and path.

nginx sets these headers on every request that it forwards, replacing those of the client, and the gateway process
passes them on. They are trusted only together with the deployment's secret (`GATEWAY_SECRET`), so that a client that
reaches a service past the entrance cannot forge them.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

SECRET = "x-gateway-secret"  # noqa: S105 - the name of a header
REQUEST = "x-gateway-request"
"""`<id> <method> <path>`: nginx's number of the request, and the client's method and path, without the query"""
ADDRESS = "x-client-address"
CERTIFICATE = "x-client-certificate"
"""the client's certificate, verified by nginx against the deployment's CAs: PEM, percent-encoded"""

HANDED_ON = (SECRET, REQUEST, ADDRESS, CERTIFICATE)


@dataclass(frozen=True, slots=True)
class Handed:
    """The entrance's information about one request."""

    id: str
    method: str
    path: str
    address: str | None
    """the client's address, for limits: hashed at once, never stored or logged"""
    certificate: str | None


class GatewayHeaders:
    """Reads the entrance's headers if they can be trusted; without a secret they never are."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> Handed | None:
        """The entrance's information in these (ASGI) headers; None when the request did not come from the entrance."""
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
