"""The count in one process: it leases small amounts from the deployment's buckets, and more when they are used up.

So most requests need no query. A refusal is remembered until the bucket can have enough again.
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
from creneau_shared.logging import describe

Lease = Callable[[bytes, Limit, float, float], Awaitable[tuple[float, float]]]
"""(key, limit, need, want) → (granted, left): see `StoredBuckets.lease`"""

SHARE_OF_BURST = 0.1
"""share of the burst that a process leases at once; the caller loses unused units, for LEASE_KEPT_S at most"""
LEASE_KEPT_S = 30.0
ASK_WITHIN_S = 1.0
ALONE_S = 5.0
"""how long a process counts alone after the database did not answer"""
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
    """The units that a process holds for one caller; negative when an answer cost more than was left."""

    units: float = 0.0
    leased_at: float = 0.0
    left: float = math.inf
    """units left in the deployment's bucket after the last lease, at `leased_at`"""
    asking: asyncio.Task[None] | None = None


class OwnBuckets:
    """Leases from this process's memory, when there is no database or it does not answer."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    async def lease(self, key: bytes, limit: Limit, need: float, want: float) -> tuple[float, float]:
        """As `StoredBuckets.lease`. Keeps the callers with the latest requests."""
        now = time.monotonic()
        left, since = self._buckets.pop(key, (float(limit.burst), now))
        left = min(float(limit.burst), left + (now - since) * limit.per_s)
        granted = min(left, want) if left >= need else 0.0
        self._buckets[key] = (left - granted, now)
        if len(self._buckets) > CALLERS_REMEMBERED_MAX:
            self._buckets.popitem(last=False)
        return granted, left - granted


class Limiter:
    """Counts the cost of callers' requests. One a process."""

    def __init__(self, lease: Lease | None = None) -> None:
        """`lease` None: this process counts alone."""
        self._alone = OwnBuckets()
        self._lease = lease or self._alone.lease
        self._alone_until = 0.0
        self._callers: OrderedDict[bytes, _Held] = OrderedDict()

    async def take(self, counted: Sequence[Counted], cost: int) -> None:
        """Counts `cost` for each party; raises TooManyRequests, and counts nothing, if one has not enough left."""
        for number, one in enumerate(counted):
            try:
                await self._take(one, cost)
            except TooManyRequests:
                for taken in counted[:number]:
                    self._held(taken.key).units += cost
                REFUSED.labels(one.limit.name).inc()
                raise

    def charge(self, counted: Sequence[Counted], cost: int) -> None:
        """Counts a cost after the work is done; it reduces what the next requests may use."""
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
            # Shielded: if one waiting request is cancelled, the others still need the answer.
            await asyncio.shield(held.asking)
        held.units -= cost

    async def _ask(self, one: Counted, held: _Held, need: float) -> None:
        """Leases the needed units from the deployment's bucket, and some more for the next requests."""
        want = max(need, one.limit.burst * SHARE_OF_BURST)
        try:
            granted, left = await self._ask_deployment(one, need, want)
        finally:
            held.asking = None
        held.units += granted
        # When nothing was granted, less than `need` was left, even if the clocks differ.
        held.left = left if granted else min(left, math.nextafter(need, 0))
        held.leased_at = time.monotonic()

    async def _ask_deployment(self, one: Counted, need: float, want: float) -> tuple[float, float]:
        if time.monotonic() >= self._alone_until:
            try:
                async with asyncio.timeout(ASK_WITHIN_S):
                    return await self._lease(one.key, one.limit, need, want)
            except DATABASE_FAILURES as error:
                # A service without the common count is better than no service.
                UNAVAILABLE.inc()
                self._alone_until = time.monotonic() + ALONE_S
                log.warning("limits are counted by this process alone", error=describe(error), for_s=ALONE_S)
        return await self._alone.lease(one.key, one.limit, need, want)

    def _held(self, key: bytes) -> _Held:
        """The held units of a caller; forgets the callers with the oldest requests."""
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
    """`RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): the quota, and the seconds until it is full again."""
    return f'"{limit.name}";q={limit.burst};w={max(1, math.ceil(limit.burst / limit.per_s))}'
