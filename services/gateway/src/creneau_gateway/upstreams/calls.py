"""Calls to the services, round robin over their processes; what one process refuses to accept, another may."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import httpx

from creneau_gateway.upstreams.routing import Service
from creneau_shared.errors import Unavailable


class Upstreams:
    """The services as the gateway reaches them. One a process; to be closed.

    Each has connections of its own (`open_client`): one that hangs takes none of the others'.
    """

    def __init__(
        self, addresses: Mapping[Service, Sequence[str]], open_client: Callable[[], httpx.AsyncClient]
    ) -> None:
        self._addresses = addresses
        self._turns = {name: itertools.cycle(range(len(several))) for name, several in addresses.items()}
        self._clients = {name: open_client() for name in addresses}

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

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
        client, last = self._clients[service], None
        addresses, turn = self._addresses[service], next(self._turns[service])
        for address in (*addresses[turn:], *addresses[:turn]):
            try:
                return await client.request(method, f"{address}{path}", headers=raw, content=content)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
            except httpx.HTTPError as error:
                raise unavailable(service) from error
        raise unavailable(service) from last

    async def check(self, service: Service) -> None:
        """Unavailable unless a process of the service says that it is ready."""
        answer = await self.call(service, "GET", "/health/ready", headers={})
        if answer.status_code != 200:
            raise unavailable(service)


def unavailable(service: Service) -> Unavailable:
    """The error for a service whose answer is missing or unreadable."""
    return Unavailable(
        f"Le service {service} ne répond pas ; réessayez dans un instant.",
        f"The service {service} does not answer; try again in a moment.",
        headers={"Retry-After": "2"},
    )
