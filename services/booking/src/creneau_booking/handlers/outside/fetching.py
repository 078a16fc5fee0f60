"""Fetches a URL that a user gave, protected against server-side request forgery into this deployment's network.

Only http and https, on their own ports, and hosts whose addresses are all public. The connection goes to the address that
was checked, so that a second DNS answer cannot differ. Each redirect is checked like the first URL. Size, time and
redirects are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpcore
import httpx

from creneau_booking.domain.not_read import (
    NotAllowedError,
    NotPublicError,
    NotReadError,
    TooLargeError,
    UnreachableError,
    UnreadableError,
)
from creneau_booking.handlers.outside.known_outside import Known

PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
REDIRECTS_MAX = 3
REQUESTS_MAX = 60
"""in one visit, redirects included"""
AGENT = "Creneau/1.0"
SPELT = {"webcal": "https", "webcals": "https", "caldav": "https", "caldavs": "https"}
"""calendar schemes → web schemes"""
SPELLING = "/:?#[]@!$&'()*+,;=%~"
"""characters that are not escaped in a URL (RFC 3986 §2.2)"""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet; an IPv4 address embedded in IPv6 is checked itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_public(inner)
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast and not address.is_reserved


def require_web_address(url: str) -> str:
    """Returns the URL to request (`webcal` becomes https). Raises NotPublicError if it cannot be on the public internet."""
    scheme, colon, rest = url.strip().partition(":")
    url = f"{SPELT.get(scheme.lower(), scheme)}{colon}{rest}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotPublicError("unreadable") from error
    if parts.scheme not in PORTS or not parts.hostname or parts.username is not None or not url.isascii():
        raise NotPublicError("no web address")
    if port not in (None, PORTS[parts.scheme]):
        raise NotPublicError("another port")
    if not _may_be_public(parts.hostname):
        raise NotPublicError("no public host")
    return url


def named_at(base: str, reference: str) -> str:
    """The URL of a reference found at `base`. Raises NotPublicError if it is no URL."""
    try:
        return urljoin(base, quote(reference, safe=SPELLING))
    except ValueError as error:
        raise NotPublicError("unreadable") from error


def _may_be_public(host: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(host))
    except ValueError:
        return "." in host.strip(".") and not host.lower().endswith(
            (".local", ".internal", ".localhost", ".lan")
        )


async def resolved(host: str, port: int) -> list[Address]:
    """The addresses of a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(entry[4][0]) for entry in found]


def own_port(port: int) -> int:
    """The port to which a request for `port` connects: the same one."""
    return port


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to checked public addresses only."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._outside.resolve(host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: an impossible host name
            raise UnreachableError("no such host") from error
        if not addresses or not all(map(self._outside.allowed, addresses)):
            raise NotPublicError("no public host")
        return await self._inner.connect_tcp(
            str(addresses[0]), self._outside.port_of(port), timeout, local_address, socket_options
        )


@dataclass(frozen=True)
class OutsideAnswer:
    """An answer, and its URL after redirects."""

    url: str
    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes = b""


@dataclass(frozen=True)
class Outside:
    """Settings for requests to the internet. Only tests replace `allowed`, `resolve`, `port_of` and `trust`."""

    bytes_max: int
    timeout_s: float
    allowed: Callable[[Address], bool] = is_public
    resolve: Callable[[str, int], Any] = resolved
    port_of: Callable[[int], int] = own_port
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context

    async def get(self, url: str) -> bytes:
        """Fetches the content of a URL. Raises NotReadError."""
        async with self.visit() as visit:
            answer = await visit.ask("GET", url, {"Accept": "text/calendar"})
        if answer.status != 200:
            raise refusal(answer.status)
        return answer.content

    @asynccontextmanager
    async def visit(self, known: Known | None = None) -> AsyncIterator[Visit]:
        """Opens a group of requests, whose total bytes and time are bounded. `known`: the credentials. Raises
        NotReadError."""
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                httpcore.AsyncConnectionPool(
                    ssl_context=self.trust(), network_backend=_Guarded(self), max_connections=1
                ) as pool,
            ):
                yield Visit(pool, self.bytes_max, known)
        except (
            TimeoutError,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpx.InvalidURL,
        ) as error:
            raise UnreachableError(type(error).__name__) from error


class Visit:
    """One visit to a server; its bytes are counted together."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, bytes_max: int, known: Known | None) -> None:
        self._pool = pool
        self._left = bytes_max
        self._asked = 0
        self._known = known

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> OutsideAnswer:
        """Follows redirects and returns the answer, whatever its status. Raises NotReadError."""
        for _ in range(REDIRECTS_MAX + 1):
            url = require_web_address(url)
            answer = await self._known_as(method, url, headers, body)
            if answer.status not in REDIRECTS:
                return answer
            url = named_at(url, dict(answer.headers).get(b"location", b"").decode("latin-1"))
        raise UnreachableError("too many redirects")

    async def _known_as(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> OutsideAnswer:
        if self._known is None:
            return await self._send(method, url, headers, body)
        self._known.require_told(url)
        flow = self._known.auth_flow(httpx.Request(method, url))
        request = next(flow, None)
        while request is not None:
            told = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
            answer = await self._send(method, url, {**headers, **told}, body)
            try:
                request = flow.send(httpx.Response(answer.status, headers=answer.headers, request=request))
            except StopIteration:
                return answer
        raise NotAllowedError("a challenge that is not spoken here")

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> OutsideAnswer:
        self._asked += 1
        if self._asked > REQUESTS_MAX:
            raise TooLargeError("too many requests")
        sent = {"Host": urlsplit(url).netloc, "User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
        if body:
            sent["Content-Length"] = str(len(body))
        pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
        async with self._pool.stream(method, url, headers=pairs, content=body) as answer:
            content = b"" if answer.status in REDIRECTS else await self._read(answer)
            came = [(name.lower(), value) for name, value in answer.headers]
        return OutsideAnswer(url, answer.status, came, content)

    async def _read(self, answer: httpcore.Response) -> bytes:
        content = bytearray()
        async for chunk in answer.aiter_stream():
            content += chunk
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLargeError("too many bytes")
        return bytes(content)


def refusal(status: int) -> NotReadError:
    """The error for an unexpected status."""
    if status in (401, 403):
        return NotAllowedError(str(status))
    if status in (413, 507):
        return TooLargeError(str(status))
    if status in (408, 425, 429) or (status >= 500 and status != 501):
        return UnreachableError(str(status))
    return UnreadableError(str(status))
