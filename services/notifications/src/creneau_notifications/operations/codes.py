"""`$send-code` and `$verify-code`: somebody without an account proves that a contact is theirs, and gets a token.

What is asked and answered holds a contact, a code or a token: it stands in bodies only, and is recorded nowhere. Nothing
is looked up about the contact but when codes were sent to it, so that no answer tells whether it is known here.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import structlog

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.codes import CodeLetter, CodePost, CodeWay
from creneau_notifications.channels.registry import CODE_WAYS
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.codes import CodeLimits
from creneau_notifications.domain.contact import Language
from creneau_notifications.storage import codes
from creneau_notifications.storage.addresses import Keyring
from creneau_shared.errors import (
    BadRequest,
    NotImplementedByServer,
    TooManyRequests,
    Unavailable,
    Unprocessable,
)
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, json_object
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.contact_accounts import ContactAccounts
from creneau_shared.security.own_tokens import TokenSigner

DIGITS = 6
RETRY_AFTER_S = 30
CANONICAL = "https://creneau.sante.fr/fhir/OperationDefinition/"

log = structlog.get_logger(__name__)


def _definition(code: str, title: str, description: str, parameters: list[Resource]) -> Resource:
    return {
        "resourceType": "OperationDefinition",
        "id": f"system-{code}",
        "url": f"{CANONICAL}system-{code}",
        "version": "1.0.0",
        "name": "".join(word.title() for word in code.split("-")),
        "title": title,
        "status": "active",
        "kind": "operation",
        "description": description,
        "affectsState": True,
        "code": code,
        "system": True,
        "type": False,
        "instance": False,
        "parameter": parameters,
    }


def _parameter(name: str, type_: str, use: str = "in", minimum: int = 1) -> Resource:
    return {"name": name, "use": use, "min": minimum, "max": "1", "type": type_}


SEND_CODE = _definition(
    "send-code",
    "Send a one-time code to somebody without an account",
    "Sends six digits to an e-mail address or a mobile telephone. The answer does not tell whether the contact is known."
    " POST with a Parameters body only, and in no Bundle.",
    [
        _parameter("telecom", "ContactPoint"),
        _parameter("language", "code", minimum=0),
        _parameter("expires", "instant", use="out"),
    ],
)
VERIFY_CODE = _definition(
    "verify-code",
    "Log in with a one-time code",
    "Answers with a bearer token of the account of whoever has this contact, with a patient's rights: the same account each"
    " time. A code works once. POST with a Parameters body only, and in no Bundle.",
    [
        _parameter("telecom", "ContactPoint"),
        _parameter("code", "string"),
        _parameter("access-token", "string", use="out"),
        _parameter("expires", "instant", use="out"),
    ],
)


@dataclass(frozen=True, slots=True)
class CodeDesk:
    """What both operations work with. `signer` None: codes are not offered here."""

    keyring: Keyring
    limits: CodeLimits
    post: CodePost
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
        given = _input(request)
        way, address = _contact(desk, given)
        hashed = desk.keyring.hashed(address)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        expires = request.now + desk.limits.lifetime
        async with call.service.transaction() as connection:
            sent = await codes.lock_sent(connection, hashed)
            again_at = desk.limits.again_at(sent, request.now)
            if again_at is not None:
                raise _too_many(again_at, request.now)
            await codes.put_down(connection, hashed, desk.limits.remembered(sent, request.now))
            await codes.keep(connection, hashed, desk.keyring.code(hashed, code), expires)
        minutes = math.floor(desk.limits.lifetime / timedelta(minutes=1))
        await self._send(way, address, CodeLetter(code, _language(given, request), minutes, desk.site_url))
        return _parameters({"name": "expires", "valueInstant": _instant(expires)})

    async def _send(self, way: CodeWay, address: Address, letter: CodeLetter) -> None:
        try:
            await self._desk.post.send(way, address, letter)
        except DeliveryError as error:
            # What the server said may repeat the address.
            log.warning(
                "code not sent", channel=address.channel, permanent=error.permanent, smtp_code=error.smtp_code
            )
            raise _refused() if error.permanent else _not_sent() from None


class VerifyCodeOperation:
    """`$verify-code` on the base."""

    def __init__(self, desk: CodeDesk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(VERIFY_CODE, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        desk, request = self._desk, call.request
        signer = _signer(desk)
        given = _input(request)
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
        return _parameters(
            {"name": "access-token", "valueString": token},
            {"name": "expires", "valueInstant": _instant(expires)},
        )


def _signer(desk: CodeDesk) -> TokenSigner:
    if desk.signer is None:
        raise NotImplementedByServer(
            "Prendre rendez-vous par un code n'est pas proposé ici : connectez-vous, ou téléphonez au cabinet.",
            "Booking by a code is not offered here: log in, or telephone the practice.",
            details_code="codes-not-offered",
        )
    return desk.signer


def _input(request: FhirRequest) -> OperationInput:
    """What the body says: in an address it would be kept by whoever logs addresses."""
    return OperationInput.of(replace(request, query=[]))


def _contact(desk: CodeDesk, given: OperationInput) -> tuple[CodeWay, Address]:
    """The contact that was meant, and how codes go to it."""
    telecom = json_object(given.first("telecom"))
    value, system = telecom.get("value"), telecom.get("system")
    way = next((way for way in CODE_WAYS if system in way.systems), None)
    if not isinstance(value, str) or not value.strip() or way is None:
        raise BadRequest(
            "Indiquez une adresse électronique ou un numéro de téléphone (telecom : system email ou phone, et value).",
            "Give an e-mail address or a telephone number (telecom: system email or phone, and value).",
            code="required",
            expression=_at("telecom"),
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
            expression=_at("code"),
            details_code="code-required",
        )
    return "".join(character for character in code if character.isalnum())


def _language(given: OperationInput, request: FhirRequest) -> Language:
    said = given.first("language")
    asked = said if isinstance(said, str) and said else request.language
    return "en" if asked.lower().split("-")[0] == "en" else "fr"


def _too_many(again_at: datetime, now: datetime) -> TooManyRequests:
    wait_s = max(1, math.ceil((again_at - now).total_seconds()))
    return TooManyRequests(
        f"Plusieurs codes ont déjà été envoyés : utilisez le dernier reçu, ou demandez-en un autre {_after(wait_s, 'fr')}."
        " Vous pouvez aussi donner un autre contact, ou téléphoner au cabinet.",
        f"Several codes have been sent already: use the last one, or ask for another {_after(wait_s, 'en')}. You can also"
        " give another contact, or telephone the practice.",
        expression=_at("telecom"),
        details_code="too-many-codes",
        headers={"Retry-After": str(wait_s)},
    )


def _after(wait_s: int, language: Literal["fr", "en"]) -> str:
    """`dans 9 minutes`, as people say a wait."""
    minutes = math.ceil(wait_s / 60)
    amount, unit = (minutes, "minute") if minutes < 120 else (math.ceil(minutes / 60), "hour")
    word = unit if language == "en" else {"minute": "minute", "hour": "heure"}[unit]
    return f"{'in' if language == 'en' else 'dans'} {amount} {word}{'s' if amount > 1 else ''}"


def _wrong() -> Unprocessable:
    """The same for a code that is another, that has ended, that was tried too often, or that never was."""
    return Unprocessable(
        "Ce code n'est pas le bon, ou ne fonctionne plus : vérifiez-le, ou demandez-en un autre.",
        "This code is not the right one, or works no longer: check it, or ask for another one.",
        expression=_at("code"),
        details_code="code-wrong",
    )


def _refused() -> Unprocessable:
    return Unprocessable(
        "Le code n'a pas pu être remis à ce contact : vérifiez-le, ou donnez-en un autre.",
        "The code could not be handed to this contact: check it, or give another one.",
        expression=_at("telecom"),
        details_code="code-undeliverable",
    )


def _not_sent() -> Unavailable:
    return Unavailable(
        "Le code n'a pas pu être envoyé pour le moment : réessayez dans un instant, ou téléphonez au cabinet.",
        "The code could not be sent at the moment: try again shortly, or telephone the practice.",
        details_code="code-not-sent",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _at(name: str) -> str:
    return f"Parameters.parameter.where(name='{name}')"


def _instant(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _parameters(*parameters: Resource) -> Answer:
    return Answer(200, dumps({"resourceType": "Parameters", "parameter": list(parameters)}))
