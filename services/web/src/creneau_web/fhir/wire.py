"""The wire to the FHIR base: bytes there and back, over connections that are kept open."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp

from creneau_web.fhir.query import Query
from creneau_web.fhir.refusal import UnreachableError

SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. `headers`: names in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return self.status in SUCCESS


class Wire(Protocol):
    """Open while it is entered as a context manager."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        params: Query | None = None,
        content: bytes | None = None,
    ) -> Response:
        """`path`: from the base on. UnreachableError when nothing comes back in time."""
        ...


class HttpWire:
    """Over HTTP by aiohttp: a page makes several requests, and each costs a twentieth of what httpx takes.

    `base`: address of the FHIR base; `connections_max`: open at once; `verify`: which CAs are trusted.
    """

    def __init__(
        self,
        base: str,
        *,
        timeout_s: float,
        connections_max: int,
        kept_s: float,
        verify: ssl.SSLContext | None,
    ) -> None:
        self._base = base.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._connections_max = connections_max
        self._kept_s = kept_s
        self._verify = verify
        self._open: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self._connections_max, keepalive_timeout=self._kept_s, ssl=self._verify or True
        )
        # Answers of the base are not worth compressing; cookies are not kept.
        self._open = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open is not None:
            await self._open.close()

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        params: Query | None = None,
        content: bytes | None = None,
    ) -> Response:
        if self._open is None:
            raise RuntimeError("the wire is not open")
        try:
            async with self._open.request(
                method, self._base + path, params=params, data=content, headers=headers, allow_redirects=False
            ) as answer:
                return Response(answer.status, answer.headers, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(type(error).__name__) from None
