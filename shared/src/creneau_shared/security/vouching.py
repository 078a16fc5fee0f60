"""Vouchers: booking, which knows the accounts of persons, confirms to notifications that a caller may have a person's
messages.

Services do not call each other; the gateway copies the voucher from booking's answer into the request to notifications.
It is valid for one caller, one Patient and one minute, and is signed with a key that both services share.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from creneau_shared.security.principal import Principal

HEADER = "x-creneau-voucher"
LIFETIME_S = 60


class Vouchers:
    """Writes and checks vouchers."""

    def __init__(self, secret: str) -> None:
        """With an empty secret, no voucher is written and every voucher is refused."""
        self._key = secret.encode()

    def write(self, principal: Principal, patient_id: str, now: datetime) -> str | None:
        """A voucher that this caller may have the data kept about this Patient; None when no secret is configured."""
        if not self._key:
            return None
        until = str(int(now.timestamp()) + LIFETIME_S)
        return f"{until}.{self._signature(principal, patient_id, until)}"

    def holds(self, text: str | None, principal: Principal, patient_id: str, now: datetime) -> bool:
        """Whether `text` is a voucher for this caller and Patient that is still valid."""
        until, _, signature = (text or "").partition(".")
        if not self._key or not (until.isascii() and until.isdigit() and len(until) < 15):
            return False
        if int(until) < now.timestamp():
            return False
        expected = self._signature(principal, patient_id, until)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))

    def _signature(self, principal: Principal, patient_id: str, until: str) -> str:
        said = "\n".join((principal.issuer, principal.subject, patient_id, until))
        return hmac.new(self._key, said.encode(), "sha256").hexdigest()
