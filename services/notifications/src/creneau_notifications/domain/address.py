"""Addresses as they are counted and compared: two spellings of one letter box are one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from creneau_notifications.domain.rules import Channel

DOTS_MEAN_NOTHING = frozenset({"gmail.com", "googlemail.com"})
"""Providers that deliver a.b@ and ab@ to the same person."""

_PHONE = re.compile(r"\+[1-9]\d{5,14}")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one channel, in normal form: an e-mail address with an ASCII domain, or an E.164 number."""

    channel: Channel
    value: str

    @property
    def exact(self) -> str:
        """What is confirmed: the address itself, however it is capitalised."""
        return self.value.lower()

    @property
    def mailbox(self) -> str:
        """What is counted: where it arrives. `camille+creneau@…` arrives where `camille@…` does (RFC 5233)."""
        if self.channel is not Channel.EMAIL:
            return self.value
        local, _, domain = self.exact.rpartition("@")
        local = local.partition("+")[0] or local
        return f"{local.replace('.', '') if domain in DOTS_MEAN_NOTHING else local}@{domain}"


def phone_number(text: str) -> str | None:
    """`06 39 98 00 01`, `+33 (0)6 39 98 00 01` or `0033…` as E.164; None for what is no telephone number."""
    if re.search(r"[^\d\s().+/-]", text):
        return None
    digits = re.sub(r"[^\d+]", "", text.replace("(0)", ""))
    digits = re.sub(r"^00", "+", digits)
    digits = re.sub(r"^0(?=[1-9]\d{8}$)", "+33", digits)
    return digits if _PHONE.fullmatch(digits) else None
