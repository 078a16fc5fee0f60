"""To which numbers text messages can be sent."""

from __future__ import annotations

from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_shared.contact_points import phone_of

NAME = "sms"


def sms_address(given: str) -> Address:
    """The number as E.164. Raises InvalidAddressError: it is none, or one that text messages do not reach."""
    phone = phone_of(given)
    if phone is None:
        raise InvalidAddressError
    if not phone.takes_texts:
        raise InvalidAddressError("no-text-messages")
    return Address(NAME, phone.number, exact=phone.number, mailbox=phone.number)


def is_landline(given: str) -> bool:
    """Whether it is a valid number that text messages do not reach."""
    phone = phone_of(given)
    return phone is not None and not phone.takes_texts
