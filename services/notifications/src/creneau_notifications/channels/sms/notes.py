"""Notes by text message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from creneau_notifications.channels.notes import HandOver, Note
from creneau_notifications.channels.sms.address import NAME, sms_address
from creneau_notifications.channels.sms.render import gsm
from creneau_notifications.channels.sms.transport import LoggedSms, SmsTransport
from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_shared.errors import Unprocessable


class SmsNotes:
    """A `NoteWay`."""

    name = NAME
    systems = frozenset({"phone", "sms"})
    kind: Literal["phone"] = "phone"

    def __init__(self, transport: SmsTransport | None = None) -> None:
        self._transport = transport or LoggedSms()

    def address(self, given: str) -> Address:
        try:
            return sms_address(given)
        except InvalidAddressError as error:
            raise _REFUSED.get(error.reason, _no_number)() from None

    def not_offered(self) -> Unprocessable:
        return Unprocessable(
            "Aucun SMS n'est envoyé ici : donnez une adresse électronique, ou téléphonez au cabinet.",
            "No text messages are sent from here: give an e-mail address, or telephone the practice.",
            details_code="no-codes-by-text",
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[HandOver]:
        yield self._hand_over

    async def _hand_over(self, address: Address, note: Note) -> None:
        await self._transport.send(address.value, gsm(note.brief))


def _no_texts() -> Unprocessable:
    return Unprocessable(
        "Ce numéro (ligne fixe) ne reçoit pas de SMS : donnez un mobile ou une adresse électronique, ou téléphonez au"
        " cabinet.",
        "This number (a landline) gets no text messages: give a mobile or an e-mail address, or telephone the practice.",
        details_code="no-text-messages",
    )


def _not_there() -> Unprocessable:
    return Unprocessable(
        "Aucun SMS n'est envoyé vers le pays de ce numéro : donnez une adresse électronique, ou téléphonez au cabinet.",
        "No text messages are sent to the country of this number: give an e-mail address, or telephone the practice.",
        details_code="no-texts-abroad",
    )


def _no_number() -> Unprocessable:
    return Unprocessable(
        "Ce numéro de téléphone n'en est pas un : corrigez-le, par exemple 06 39 98 00 01.",
        "This is no telephone number: correct it, for example +33 6 39 98 00 01.",
        details_code="no-phone-number",
    )


_REFUSED = {"no-text-messages": _no_texts, "no-texts-abroad": _not_there}
"""why a number is none for text messages → what is said of it"""
