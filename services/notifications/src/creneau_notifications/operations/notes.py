"""Shared by the operations that send something to a contact while the caller waits: limits, sending, refusals."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

import structlog

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.notes import Note, NotePost, NoteWay
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.codes import CodeLimits
from creneau_notifications.storage import codes
from creneau_notifications.storage.addresses import Hashed
from creneau_shared.database.pool import Connection
from creneau_shared.errors import TooManyRequests, Unavailable, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.storage.store import Resource

RETRY_AFTER_S = 30

log = structlog.get_logger(__name__)


def answered(*parameters: Resource) -> Answer:
    """The answer with these output parameters."""
    return Answer(200, dumps({"resourceType": "Parameters", "parameter": list(parameters)}))


async def take_turn(
    connection: Connection, limits: CodeLimits, address: Hashed, request: FhirRequest, expression: str
) -> None:
    """Count one thing sent to the letter box of an address, and asked for from a network, if it is known; TooManyRequests
    when either has had enough. What has not left stays counted for the network."""
    now = request.now
    turns = [(codes.to_letter_box(address), limits.to_letter_box, _TO_LETTER_BOX)]
    if request.network is not None:
        turns.insert(0, (codes.from_network(request.network), limits.from_network, _FROM_NETWORK))
    for counted, pace, words in turns:
        sent = await codes.lock_sent(connection, counted)
        again_at = pace.again_at(sent, now)
        if again_at is not None:
            raise _too_many(words, again_at, now, expression)
        await codes.put_down(connection, counted, pace.remembered(sent, now))


async def send(
    post: NotePost,
    way: NoteWay,
    address: Address,
    note: Note,
    expression: str,
    take_back: Callable[[], Awaitable[None]],
) -> None:
    """Return once the note has left; Unprocessable or Unavailable, in words, otherwise. `take_back`: called when it is
    certain that it has not left, to undo what was put down before."""
    try:
        await post.send(way, address, note)
    except DeliveryError as error:
        # What the server said may repeat the address.
        log.warning(
            "note not sent", channel=address.channel, permanent=error.permanent, smtp_code=error.smtp_code
        )
        if error.has_not_left:
            await take_back()
        raise _refused(expression) if error.permanent else _not_sent() from None


_TO_LETTER_BOX = (
    "Plusieurs messages ont déjà été envoyés : utilisez le dernier reçu, ou redemandez {after}."
    " Vous pouvez aussi téléphoner au cabinet.",
    "Several messages have been sent already: use the last one, or ask again {after}. You can also telephone the practice.",
)
_FROM_NETWORK = (
    "Trop de messages ont été demandés depuis votre connexion : redemandez {after}. Vous pouvez aussi téléphoner au"
    " cabinet.",
    "Too many messages have been asked for from your connection: ask again {after}. You can also telephone the practice.",
)


def _too_many(words: tuple[str, str], again_at: datetime, now: datetime, expression: str) -> TooManyRequests:
    wait_s = max(1, math.ceil((again_at - now).total_seconds()))
    french, english = words
    return TooManyRequests(
        french.format(after=_after(wait_s, "fr")),
        english.format(after=_after(wait_s, "en")),
        expression=expression,
        details_code="too-many-codes",
        headers={"Retry-After": str(wait_s)},
    )


def _after(wait_s: int, language: Literal["fr", "en"]) -> str:
    """`dans 9 minutes`, as people say a wait."""
    minutes = math.ceil(wait_s / 60)
    amount, unit = (minutes, "minute") if minutes < 120 else (math.ceil(minutes / 60), "hour")
    word = unit if language == "en" else {"minute": "minute", "hour": "heure"}[unit]
    return f"{'in' if language == 'en' else 'dans'} {amount} {word}{'s' if amount > 1 else ''}"


def _refused(expression: str) -> Unprocessable:
    return Unprocessable(
        "Le message n'a pas pu être remis à ce contact : vérifiez-le, donnez-en un autre, ou téléphonez au cabinet.",
        "The message could not be handed to this contact: check it, give another one, or telephone the practice.",
        expression=expression,
        details_code="code-undeliverable",
    )


def _not_sent() -> Unavailable:
    return Unavailable(
        "Le message n'a pas pu être envoyé pour le moment : réessayez dans un instant, ou téléphonez au cabinet.",
        "The message could not be sent at the moment: try again shortly, or telephone the practice.",
        details_code="code-not-sent",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
