"""How often one may ask: token buckets in this process's memory, one for each subject or other key."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Hashable

from creneau_shared.errors import TooManyRequests
from creneau_shared.security.principal import Principal

KEYS_REMEMBERED_MAX = 100_000


class TokenBuckets:
    """A bucket for each key: `burst` at once, then `per_s` a second. The keys used last are remembered."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> int:
        """Count one; 0, or the whole seconds to wait when the bucket is empty."""
        now = time.monotonic()
        left, since = self._buckets.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_s)
        if left >= 1:
            self._buckets[key] = (left - 1, now)
            if len(self._buckets) > KEYS_REMEMBERED_MAX:
                self._buckets.popitem(last=False)
            return 0
        self._buckets[key] = (left, now)
        return math.ceil((1 - left) / self._per_s)


class PatientRate:
    """Limits patients' tokens to `per_s` requests a second, after `burst` at once. Software is not limited here."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._subjects = TokenBuckets(per_s, burst)

    def take(self, principal: Principal) -> None:
        """Count one request; TooManyRequests with Retry-After when the bucket is empty."""
        if principal.anonymous or any(scope.level != "patient" for scope in principal.scopes):
            return
        wait_s = self._subjects.take((principal.issuer, principal.subject))
        if wait_s:
            raise TooManyRequests(
                f"Trop de requêtes à la suite : réessayez dans {wait_s} s.",
                f"Too many requests in a row: try again in {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )
