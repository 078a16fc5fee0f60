"""What an e-mail address is, and which spellings are one letter box."""

from __future__ import annotations

from functools import lru_cache

from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_shared import contact_points

NAME = "email"
DOTS_MEAN_NOTHING = frozenset({"gmail.com", "googlemail.com"})
"""Providers that deliver a.b@ and ab@ to the same person."""


@lru_cache(maxsize=256)
def email_address(given: str) -> Address:
    """The address in normal form, with an ASCII domain; confirmed however it is capitalised. Raises
    InvalidAddressError. Kept for a moment: it is asked when a message is admitted, and when it is written."""
    value = contact_points.email_address(given)
    if value is None:
        raise InvalidAddressError
    return Address(NAME, value, exact=value.lower(), mailbox=letter_box(value))


def letter_box(address: str) -> str:
    """Where it arrives: `camille+creneau@…` arrives where `camille@…` does (RFC 5233)."""
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local
    return f"{local.replace('.', '') if domain in DOTS_MEAN_NOTHING else local}@{domain}"
