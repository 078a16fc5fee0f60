"""Authentication at an external server: a password goes over https only, and only to the domain for which it was given."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from creneau_booking.domain.not_read import StrayedError


@dataclass(frozen=True)
class Credentials:
    """A user name and password at an external server."""

    user: str
    password: str = field(repr=False)


class Known(httpx.Auth):
    """Basic (RFC 7617), or Digest (RFC 7616) if the server asks for it; over https, within the domain of `home` (URL)."""

    def __init__(self, credentials: Credentials, home: str) -> None:
        self._basic = httpx.BasicAuth(credentials.user, credentials.password)
        self._digest = httpx.DigestAuth(credentials.user, credentials.password)
        self._asks_for_digest = False
        self._host = urlsplit(home).hostname or ""

    def require_told(self, url: str) -> None:
        """Raises StrayedError if the password must not be sent to this URL."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not is_of_domain(parts.hostname or "", self._host):
            raise StrayedError("another host")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # A challenge that cannot be read or is not supported: the server's refusal stands.
        with suppress(ValueError, KeyError, NotImplementedError, httpx.ProtocolError):
            yield from self._said(request)

    def _said(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._asks_for_digest:
            yield from self._digest.auth_flow(request)
            return
        answer = yield next(self._basic.auth_flow(request))
        if answer.status_code == 401 and "digest" in answer.headers.get("WWW-Authenticate", "").lower():
            self._asks_for_digest = True
            del request.headers["Authorization"]
            flow = self._digest.auth_flow(request)
            next(flow)
            with suppress(StopIteration):  # there is no such challenge after all
                yield flow.send(answer)


def is_of_domain(host: str, home: str) -> bool:
    """Whether a host is `home`, a subdomain of it, or of its parent if the parent has at least two labels:
    `p42-caldav.icloud.com` is of `caldav.icloud.com`."""
    above = home.partition(".")[2]
    return host == home or (
        not home[-1:].isdigit()
        and (host.endswith(f".{home}") or ("." in above and host.endswith(f".{above}")))
    )
