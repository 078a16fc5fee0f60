"""Calls to the services, round robin over their processes; what one process refuses to accept, another may."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import httpx

from creneau_shared.errors import Unavailable
from creneau_shared.gateway.routing import Service
from creneau_shared.gateway.settings import GatewaySettings


class Upstreams:
    """The services as the gateway reaches them. One a process; to be closed."""

    def __init__(self, settings: GatewaySettings) -> None:
        lists: dict[Service, str] = {
            "booking": settings.upstreams_booking,
            "directory": settings.upstreams_directory,
            "notifications": settings.upstreams_notifications,
        }
        self._addresses = {
            name: [a.strip() for a in text.split(",") if a.strip()] for name, text in lists.items()
        }
        self._turns = {name: itertools.cycle(addresses) for name, addresses in self._addresses.items()}
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=30)
        self._client = httpx.AsyncClient(timeout=settings.upstream_timeout_s, limits=limits)

    async def close(self) -> None:
        await self._client.aclose()

    @property
    def services(self) -> tuple[Service, ...]:
        return tuple(self._addresses)

    async def call(
        self, service: Service, method: str, path: str, *, headers: Mapping[str, str], content: bytes = b""
    ) -> httpx.Response:
        """One request to a service. Only a connection that was never made is tried on another process: nothing
        that may have been carried out is sent twice."""
        # As bytes: what a caller put into a header need not be ASCII.
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        last: Exception | None = None
        for _ in self._addresses[service]:
            address = next(self._turns[service])
            try:
                return await self._client.request(method, f"{address}{path}", headers=raw, content=content)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
            except httpx.HTTPError as error:
                raise _unavailable(service) from error
        raise _unavailable(service) from last

    async def is_ready(self, service: Service) -> bool:
        """Whether a process of the service says that it is ready."""
        try:
            response = await self.call(service, "GET", "/health/ready", headers={})
        except Unavailable:
            return False
        return response.status_code == 200


def _unavailable(service: Service) -> Unavailable:
    return Unavailable(
        f"Le service {service} ne répond pas ; réessayez dans un instant.",
        f"The service {service} does not answer; try again in a moment.",
        headers={"Retry-After": "2"},
    )
