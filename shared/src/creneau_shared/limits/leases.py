"""The count in one process: it takes small amounts from the deployment's buckets and asks again when they are used up.

So the usual request asks nobody. A refusal is remembered until there can be enough again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.errors import TooManyRequests
from creneau_shared.limits.callers import Counted, Limit

Lease = Callable[[bytes, Limit, float, float], Awaitable[tuple[float, float]]]
"""(key, limit, need, want) → (granted, left): see `StoredBuckets.lease`"""

SHARE_OF_BURST = 0.1
"""what a process takes at once; what it has taken and does not use is lost to the caller for LEASE_KEPT_S at most"""
LEASE_KEPT_S = 30.0
ASK_WITHIN_S = 1.0
ALONE_S = 5.0
"""how long a process counts for itself after the database did not answer"""
CALLERS_REMEMBERED_MAX = 50_000

REFUSED = Counter(
    "creneau_limits_refused", "Requests refused because their caller asks for too much", ["limit"]
)
UNAVAILABLE = Counter(
    "creneau_limits_unavailable",
    "Times that the deployment's count could not be asked, and the process counted alone",
)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """What a process holds for one caller: negative when an answer was larger than what was left."""

    units: float = 0.0
    leased_at: float = 0.0
    left: float = math.inf
    """what the deployment's bucket had after the last answer, at `leased_at`"""
    asking: asyncio.Task[None] | None = None


class OwnBuckets:
    """Leases from this process's memory: where there is no database, or it does not answer."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    async def lease(self, key: bytes, limit: Limit, need: float, want: float) -> tuple[float, float]:
        """As `StoredBuckets.lease`. The callers that asked last are remembered."""
        now = time.monotonic()
        left, since = self._buckets.pop(key, (float(limit.burst), now))
        left = min(float(limit.burst), left + (now - since) * limit.per_s)
        granted = min(left, want) if left >= need else 0.0
        self._buckets[key] = (left - granted, now)
        if len(self._buckets) > CALLERS_REMEMBERED_MAX:
            self._buckets.popitem(last=False)
        return granted, left - granted


class Limiter:
    """Counts what callers ask for. One a process."""

    def __init__(self, lease: Lease | None = None) -> None:
        """`lease` None: this process counts for itself."""
        self._alone = OwnBuckets()
        self._lease = lease or self._alone.lease
        self._alone_until = 0.0
        self._callers: OrderedDict[bytes, _Held] = OrderedDict()

    async def take(self, counted: Sequence[Counted], cost: int) -> None:
        """Count `cost` for each; TooManyRequests, and nothing is counted, when one has not enough left."""
        for number, one in enumerate(counted):
            try:
                await self._take(one, cost)
            except TooManyRequests:
                for taken in counted[:number]:
                    self._held(taken.key).units += cost
                REFUSED.labels(one.limit.name).inc()
                raise

    def charge(self, counted: Sequence[Counted], cost: int) -> None:
        """Count what has been done already: the next request waits for it."""
        for one in counted:
            held = self._held(one.key)
            if one.limit.per_s > 0:
                held.units = max(held.units - cost, -float(one.limit.burst))

    async def _take(self, one: Counted, cost: int) -> None:
        limit, held = one.limit, self._held(one.key)
        if limit.per_s <= 0:
            return
        if cost > limit.burst:
            raise _never(cost, limit)
        if held.units > 0 and time.monotonic() - held.leased_at > LEASE_KEPT_S:
            held.units = 0.0
        while held.units < cost:
            need = min(cost - held.units, float(limit.burst))
            there = min(held.left + (time.monotonic() - held.leased_at) * limit.per_s, float(limit.burst))
            if need > there:
                raise _too_many(math.ceil((need - there) / limit.per_s), limit)
            if held.asking is None:
                held.asking = asyncio.create_task(self._ask(one, held, need))
            # Whoever waits for the same answer may leave; those who stay need it.
            await asyncio.shield(held.asking)
        held.units -= cost

    async def _ask(self, one: Counted, held: _Held, need: float) -> None:
        """Take from the deployment's bucket what is needed, and a little to go on with."""
        want = max(need, one.limit.burst * SHARE_OF_BURST)
        try:
            granted, left = await self._ask_deployment(one, need, want)
        finally:
            held.asking = None
        held.units += granted
        # When nothing was granted there was less than needed, whatever the clocks say.
        held.left = left if granted else min(left, math.nextafter(need, 0))
        held.leased_at = time.monotonic()

    async def _ask_deployment(self, one: Counted, need: float, want: float) -> tuple[float, float]:
        if time.monotonic() >= self._alone_until:
            try:
                async with asyncio.timeout(ASK_WITHIN_S):
                    return await self._lease(one.key, one.limit, need, want)
            except DATABASE_FAILURES as error:
                # A service without its count is better than none.
                UNAVAILABLE.inc()
                self._alone_until = time.monotonic() + ALONE_S
                log.warning("limits are counted by this process alone", error=repr(error), for_s=ALONE_S)
        return await self._alone.lease(one.key, one.limit, need, want)

    def _held(self, key: bytes) -> _Held:
        """What is held for a caller; those that asked longest ago are forgotten."""
        held = self._callers.get(key)
        if held is None:
            held = self._callers[key] = _Held()
            if len(self._callers) > CALLERS_REMEMBERED_MAX:
                self._callers.popitem(last=False)
        else:
            self._callers.move_to_end(key)
        return held


def _too_many(wait_s: int, limit: Limit) -> TooManyRequests:
    wait_s = max(1, wait_s)
    return TooManyRequests(
        f"Trop de requêtes à la suite : réessayez dans {wait_s} s.",
        f"Too many requests in a row: try again in {wait_s} s.",
        details_code="rate",
        headers={"Retry-After": str(wait_s), "RateLimit-Policy": _policy(limit)},
    )


def _never(cost: int, limit: Limit) -> TooManyRequests:
    return TooManyRequests(
        f"Cette requête compte pour {cost} ; vous disposez de {limit.burst} d'un coup : découpez-la.",
        f"This request counts for {cost}; you have {limit.burst} at once: split it.",
        code="too-costly",
        details_code="rate-never",
        headers={
            "Retry-After": str(max(1, math.ceil(limit.burst / limit.per_s))),
            "RateLimit-Policy": _policy(limit),
        },
    )


def _policy(limit: Limit) -> str:
    """draft-ietf-httpapi-ratelimit-headers: the quota, and the seconds in which it comes back."""
    return f'"{limit.name}";q={limit.burst};w={max(1, math.ceil(limit.burst / limit.per_s))}'
