"""One-time codes by text message."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from creneau_notifications.channels.codes import WORDINGS, CodeLetter
from creneau_notifications.channels.sms.address import NAME, sms_address
from creneau_notifications.channels.sms.render import gsm
from creneau_notifications.channels.sms.transport import LoggedSms, SmsTransport
from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_shared.errors import Unprocessable


def code_text(letter: CodeLetter) -> str:
    """The text message; its last line lets browsers offer the code on this site alone."""
    wording = WORDINGS[letter.language]
    says, lasts = wording.says.format(code=letter.code), wording.lasts.format(minutes=letter.minutes)
    host = urlsplit(letter.site_url).hostname or ""
    return gsm(f"{says} {lasts} {wording.keep}\n\n@{host} #{letter.code}")


class SmsCodes:
    """A `CodeWay`."""

    name = NAME
    systems = frozenset({"phone", "sms"})
    kind: Literal["phone"] = "phone"

    def __init__(self, transport: SmsTransport | None = None) -> None:
        self._transport = transport or LoggedSms()

    def address(self, given: str) -> Address:
        try:
            return sms_address(given)
        except InvalidAddressError as error:
            raise _no_texts() if error.reason == "no-text-messages" else _no_number() from None

    def not_offered(self) -> Unprocessable:
        return Unprocessable(
            "Aucun SMS n'est envoyé ici : donnez une adresse électronique, ou téléphonez au cabinet.",
            "No text messages are sent from here: give an e-mail address, or telephone the practice.",
            details_code="no-codes-by-text",
        )

    async def send(self, address: Address, letter: CodeLetter) -> None:
        await self._transport.send(address.value, code_text(letter))


def _no_texts() -> Unprocessable:
    return Unprocessable(
        "Ce numéro (ligne fixe) ne reçoit pas de SMS : donnez un mobile ou une adresse électronique, ou téléphonez au"
        " cabinet.",
        "This number (a landline) gets no text messages: give a mobile or an e-mail address, or telephone the practice.",
        details_code="no-text-messages",
    )


def _no_number() -> Unprocessable:
    return Unprocessable(
        "Ce numéro de téléphone n'en est pas un : corrigez-le, par exemple 06 39 98 00 01.",
        "This is no telephone number: correct it, for example +33 6 39 98 00 01.",
        details_code="no-phone-number",
    )
