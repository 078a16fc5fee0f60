"""`$send-code` and `$verify-code`: somebody without an account proves that a contact is theirs, and gets a token.

Requests and answers hold a contact, a code or a token: they use bodies only, and are recorded nowhere. Only the times of
sent codes are looked up for a contact, so that no answer tells whether it is known here.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import timedelta

from creneau_notifications.channels.notes import NotePost, NoteWay, code_note
from creneau_notifications.channels.registry import NOTE_WAYS
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.codes import CodeLimits
from creneau_notifications.domain.contact import Language
from creneau_notifications.operations.notes import (
    answered,
    send,
    take_turn,
)
from creneau_notifications.storage import codes
from creneau_notifications.storage.addresses import Keyring
from creneau_shared.errors import BadRequest, NotImplementedByServer, Unprocessable
from creneau_shared.fhir.datatypes import instant_to_the_second
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, json_object
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.security.contact_accounts import ContactAccounts
from creneau_shared.security.own_tokens import TokenSigner

DIGITS = 6


SEND_CODE = operation_definition(
    "send-code",
    "Send a one-time code to somebody without an account",
    "Sends six digits to an e-mail address or a mobile telephone. The answer does not tell whether the contact is known."
    " POST with a Parameters body only, and in no Bundle.",
    [
        parameter("telecom", "ContactPoint", minimum=1),
        parameter("language", "code"),
        parameter("expires", "instant", use="out", minimum=1),
    ],
    affects_state=True,
    id_="system-send-code",
)
VERIFY_CODE = operation_definition(
    "verify-code",
    "Log in with a one-time code",
    "Answers with a bearer token of the account of whoever has this contact, with a patient's rights: the same account each"
    " time. A code works once. POST with a Parameters body only, and in no Bundle.",
    [
        parameter("telecom", "ContactPoint", minimum=1),
        parameter("code", "string", minimum=1),
        parameter("access-token", "string", use="out", minimum=1),
        parameter("expires", "instant", use="out", minimum=1),
    ],
    affects_state=True,
    id_="system-verify-code",
)


@dataclass(frozen=True, slots=True)
class CodeDesk:
    """What both operations work with. `signer` None: codes are not offered here."""

    keyring: Keyring
    limits: CodeLimits
    post: NotePost
    accounts: ContactAccounts
    signer: TokenSigner | None
    token_lifetime: timedelta
    site_url: str


class SendCodeOperation:
    """`$send-code` on the base."""

    def __init__(self, desk: CodeDesk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(SEND_CODE, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        desk, request = self._desk, call.request
        _signer(desk)
        given = OperationInput.in_body(call)
        way, address = _contact(desk, given)
        hashed = desk.keyring.hashed(address)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        expires = request.now + desk.limits.lifetime
        digest = desk.keyring.code(hashed, code)
        async with call.service.transaction() as connection:
            await take_turn(connection, desk.limits, hashed, request, parameter_named("telecom"))
            await codes.keep(connection, hashed, digest, expires)

        async def take_back() -> None:
            """A turn in which somebody guessed stays counted: guesses are as few as turns."""
            async with call.service.transaction() as connection:
                counted = codes.to_letter_box(hashed)
                sent = await codes.lock_sent(connection, counted)
                if await codes.has_not_left(connection, hashed, digest):
                    await codes.uncount(connection, counted, sent, request.now)

        minutes = math.floor(desk.limits.lifetime / timedelta(minutes=1))
        note = code_note(code, minutes, _language(given, request), desk.site_url)
        await send(desk.post, way, address, note, parameter_named("telecom"), take_back)
        async with call.service.transaction() as connection:
            await codes.has_left(connection, hashed, digest)
        return answered({"name": "expires", "valueInstant": instant_to_the_second(expires)})


class VerifyCodeOperation:
    """`$verify-code` on the base."""

    def __init__(self, desk: CodeDesk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(VERIFY_CODE, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        desk, request = self._desk, call.request
        signer = _signer(desk)
        given = OperationInput.in_body(call)
        way, address = _contact(desk, given)
        hashed, code = desk.keyring.hashed(address), _code(given)
        async with call.service.transaction() as connection:
            is_right = await codes.use(
                connection, hashed, desk.keyring.code(hashed, code), request.now, desk.limits.tries_max
            )
        subject = desk.accounts.subject(way.kind, address.value)
        if not is_right or subject is None:
            raise _wrong()
        token, expires = signer.sign(subject, request.now, desk.token_lifetime)
        return answered(
            {"name": "access-token", "valueString": token},
            {"name": "expires", "valueInstant": instant_to_the_second(expires)},
        )


def _signer(desk: CodeDesk) -> TokenSigner:
    if desk.signer is None:
        raise NotImplementedByServer(
            "Prendre rendez-vous par un code n'est pas proposé ici : connectez-vous, ou téléphonez au cabinet.",
            "Booking by a code is not offered here: log in, or telephone the practice.",
            details_code="codes-not-offered",
        )
    return desk.signer


def _contact(desk: CodeDesk, given: OperationInput) -> tuple[NoteWay, Address]:
    """The contact that was meant, and how codes go to it."""
    telecom = json_object(given.first("telecom"))
    value, system = telecom.get("value"), telecom.get("system")
    way = next((way for way in NOTE_WAYS if system in way.systems), None)
    if not isinstance(value, str) or not value.strip() or way is None:
        raise BadRequest(
            "Indiquez une adresse électronique ou un numéro de téléphone (telecom : system email ou phone, et value).",
            "Give an e-mail address or a telephone number (telecom: system email or phone, and value).",
            code="required",
            expression=parameter_named("telecom"),
            details_code="contact-required",
        )
    if not desk.post.offers(way):
        raise way.not_offered()
    return way, way.address(value)


def _code(given: OperationInput) -> str:
    """The code as it was typed or pasted, without blanks and dashes."""
    code = given.first("code")
    if not isinstance(code, str) or not code.strip():
        raise BadRequest(
            f"Indiquez le code à {DIGITS} chiffres que vous avez reçu.",
            f"Give the code of {DIGITS} digits that you received.",
            code="required",
            expression=parameter_named("code"),
            details_code="code-required",
        )
    return "".join(character for character in code if character.isalnum())


def _language(given: OperationInput, request: FhirRequest) -> Language:
    said = given.first("language")
    asked = said if isinstance(said, str) and said else request.language
    return "en" if asked.lower().split("-")[0] == "en" else "fr"


def _wrong() -> Unprocessable:
    """The same error for a wrong, expired, too often tried or nonexistent code."""
    return Unprocessable(
        "Ce code n'est pas le bon, ou ne fonctionne plus : vérifiez-le, ou demandez-en un autre.",
        "This code is not the right one, or works no longer: check it, or ask for another one.",
        expression=parameter_named("code"),
        details_code="code-wrong",
    )
