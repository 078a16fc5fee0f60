"""How much one address may ask of a gateway process, which judges no token: anybody can write an Authorization header.

| what is asked | counted in |
|---|---|
| what no service is asked for (`OwnTypes.asks_nobody`), alone or as an entry of a batch | the address's bucket, whoever asks |
| the rest, without Authorization | the same bucket |
| the rest, with Authorization | a larger bucket of the address; services count for the account besides |

How much: `creneau_shared.limits.costs`. Why: docs/adr/2026-11-28-limits-for-the-deployment.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from creneau_shared.limits.callers import Callers, Counted, Limit, network_of
from creneau_shared.limits.leases import Limiter
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.principal import ANONYMOUS


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever sends one request, as far as the gateway can tell."""

    _limiter: Limiter
    _own: tuple[Counted, ...]
    _asked: tuple[Counted, ...]

    async def take(self, cost: int, *, asks_nobody: bool) -> None:
        """Counts a cost beforehand; raises TooManyRequests if it is more than is left. 0: raises while there is a debt."""
        await self._limiter.take(self._counted(asks_nobody), cost)

    def charge(self, cost: int, *, asks_nobody: bool) -> None:
        """Counts a cost that is known afterwards only."""
        self._limiter.charge(self._counted(asks_nobody), cost)

    def _counted(self, asks_nobody: bool) -> tuple[Counted, ...]:
        return self._own if asks_nobody else self._asked


class Senders:
    """Tells the senders of requests apart, by their addresses. One a process, which counts for itself."""

    def __init__(self, headers: GatewayHeaders, anonymous: Limit, authorization: Limit) -> None:
        self._headers = headers
        self._callers = Callers("", {"anonymous": anonymous})
        self._authorization = authorization
        self._limiter = Limiter()

    def sender(self, headers: Iterable[tuple[bytes, bytes]], *, authorization: bool) -> Sender:
        """`headers`: as ASGI has them. `authorization`: whether there is such a header, whatever it holds."""
        handed = self._headers.read(headers)
        address = handed.address if handed else None
        own = self._callers.caller(ANONYMOUS, address).counted
        if not authorization:
            return Sender(self._limiter, own, own)
        key = self._callers.key("address with authorization", network_of(address))
        return Sender(self._limiter, own, (Counted(key, self._authorization),))
