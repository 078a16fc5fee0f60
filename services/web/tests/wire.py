"""A way to the FHIR base that leads to a function of the test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import httpx

from creneau_web.fhir.query import Query
from creneau_web.fhir.refusal import UnreachableError
from creneau_web.fhir.wire import Response


class WireTo:
    """Every request becomes httpx's, `base` before it, and goes to `transport`."""

    def __init__(self, transport: httpx.AsyncBaseTransport, base: str = "http://fhir.example") -> None:
        self._client = httpx.AsyncClient(transport=transport, base_url=base)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        params: Query | None = None,
        content: bytes | None = None,
    ) -> Response:
        sent = httpx.QueryParams(list(params)) if params is not None else None
        try:
            answer = await self._client.request(method, path, params=sent, content=content, headers=headers)
        except httpx.TransportError as error:
            raise UnreachableError(type(error).__name__) from None
        return Response(answer.status_code, answer.headers, answer.content)
