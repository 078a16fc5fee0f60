"""What somebody's address on the internet holds, asked for without becoming their tool against our own network.

Only http and https, their own ports, and hosts all of whose addresses are public; the address that was judged is the one
that is connected to, so that a name cannot answer differently the second time. Each redirect is judged as the first
address was. Size, time and redirects are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

PORTS = {"http": 80, "https": 443}
REDIRECTS_MAX = 3
AGENT = b"Creneau/1.0"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotPublicError(Exception):
    """The address leads, or may lead, into a network that is not the public internet."""


class OutsideUnreachableError(Exception):
    """Nothing that can be used came from there."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also behind the forms in which one version carries the other."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_public(inner)
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast and not address.is_reserved


def require_web_address(url: str) -> str:
    """The address as it is asked for (`webcal` is https); NotPublicError for what can be none on the public internet."""
    url = url.strip()
    for calendar, web in (("webcal://", "https://"), ("webcals://", "https://")):
        if url.lower().startswith(calendar):
            url = web + url[len(calendar) :]
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
    """The port that is connected to for one that was asked for."""
    return port


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to none that was not judged."""

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
        except OSError as error:
            raise OutsideUnreachableError("no such host") from error
        if not addresses or not all(map(self._outside.allowed, addresses)):
            raise NotPublicError("no public host")
        return await self._inner.connect_tcp(
            str(addresses[0]), self._outside.port_of(port), timeout, local_address, socket_options
        )


@dataclass(frozen=True)
class Outside:
    """How the internet is asked. `allowed`, `resolve` and `port_of` are other ones in tests only."""

    bytes_max: int
    timeout_s: float
    allowed: Callable[[Address], bool] = is_public
    resolve: Callable[[str, int], Any] = resolved
    port_of: Callable[[int], int] = own_port

    async def get(self, url: str) -> bytes:
        """What stands there. NotPublicError, OutsideUnreachableError."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._follow(require_web_address(url))
        except (
            TimeoutError,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
        ) as error:
            raise OutsideUnreachableError(type(error).__name__) from error

    async def _follow(self, url: str) -> bytes:
        backend = _Guarded(self)
        async with httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=backend, max_connections=1
        ) as pool:
            for _ in range(REDIRECTS_MAX + 1):
                headers = [
                    (b"Accept", b"text/calendar"),
                    (b"User-Agent", AGENT),
                    (b"Accept-Encoding", b"identity"),
                ]
                headers.append((b"Host", urlsplit(url).netloc.encode()))
                async with pool.stream("GET", url, headers=headers) as answer:
                    if answer.status in (301, 302, 303, 307, 308):
                        named = dict(answer.headers).get(b"Location") or dict(answer.headers).get(
                            b"location", b""
                        )
                        url = require_web_address(urljoin(url, named.decode("latin-1")))
                        continue
                    if answer.status != 200:
                        raise OutsideUnreachableError(str(answer.status))
                    return await self._read(answer)
        raise OutsideUnreachableError("too many redirects")

    async def _read(self, answer: httpcore.Response) -> bytes:
        content = bytearray()
        async for chunk in answer.aiter_stream():
            content += chunk
            if len(content) > self.bytes_max:
                raise OutsideUnreachableError("too large")
        return bytes(content)
