"""What a number is to which a text message can be sent."""

from __future__ import annotations

import re

from creneau_notifications.domain.address import Address, InvalidAddressError

NAME = "sms"

_PHONE = re.compile(r"\+[1-9]\d{5,14}")


def sms_address(given: str) -> Address:
    """The number as E.164. Raises InvalidAddressError."""
    number = phone_number(given)
    if number is None:
        raise InvalidAddressError("no telephone number")
    return Address(NAME, number, exact=number, mailbox=number)


def phone_number(text: str) -> str | None:
    """`06 39 98 00 01`, `+33 (0)6 39 98 00 01` or `0033…` as E.164; None for what is no telephone number."""
    if re.search(r"[^\d\s().+/-]", text):
        return None
    digits = re.sub(r"[^\d+]", "", text.replace("(0)", ""))
    digits = re.sub(r"^00", "+", digits)
    digits = re.sub(r"^0(?=[1-9]\d{8}$)", "+33", digits)
    return digits if _PHONE.fullmatch(digits) else None
