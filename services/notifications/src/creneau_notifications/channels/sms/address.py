"""To which numbers text messages can be sent."""

from __future__ import annotations

from creneau_notifications.channels.sms.settings import countries
from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_shared.contact_points import phone_of

NAME = "sms"


def sms_address(given: str) -> Address:
    """The number as E.164. Raises InvalidAddressError: it is none, one that text messages do not reach, or one of a country
    to which none are sent."""
    phone = phone_of(given)
    if phone is None:
        raise InvalidAddressError
    if not phone.takes_texts:
        raise InvalidAddressError("no-text-messages")
    if not countries().reach(phone):
        raise InvalidAddressError("no-texts-abroad")
    return Address(NAME, phone.number, exact=phone.number, mailbox=phone.number)


def gets_no_texts(given: str) -> bool:
    """Whether it is a valid number to which text messages are not sent, or do not arrive."""
    phone = phone_of(given)
    return phone is not None and not countries().reach(phone)
