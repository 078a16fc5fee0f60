"""`Appointment/$open-link` and `Appointment/$renew-link`: a visit by the link of a message, without an account.

Whoever has the link sees when and where the visit is. To act they must know one thing about the person. A few wrong answers
end the link; a new one goes only where the first went. Tokens stand in bodies only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from creneau_notifications.channels.channel import Channel
from creneau_notifications.channels.notes import NotePost, NoteWay, link_note
from creneau_notifications.channels.registry import NOTE_WAYS, Channels
from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_notifications.domain.appointment import Mode
from creneau_notifications.domain.codes import CodeLimits
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.visit import Fact, visit_of
from creneau_notifications.domain.visit_links import Situation, VisitLinkRules
from creneau_notifications.operations.notes import (
    answered,
    send,
    take_turn,
)
from creneau_notifications.storage import codes, facts, recipients, visit_links
from creneau_notifications.storage.addresses import Keyring
from creneau_notifications.storage.visit_links import VisitLink
from creneau_shared.database.pool import Connection
from creneau_shared.errors import (
    BadRequest,
    CreneauError,
    Gone,
    NotFound,
    NotImplementedByServer,
    Unprocessable,
)
from creneau_shared.fhir.datatypes import instant_to_the_second
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.answers import Answers
from creneau_shared.security.own_tokens import OneAppointment, TokenSigner

WHOSE = "Organization/"
"""type whose name the link shows if the place has none: the name of an offer or a professional might tell what the visit is
for"""

WAITS = "waitlist"

OPEN_LINK = operation_definition(
    "open-link",
    "Open the link of a message about an appointment",
    "When and where the visit is, and `until` when what the waiting list offers is kept; somebody who waits has no time yet."
    " With the right `answer` (the year of birth, or the first three letters of the birth name) a bearer token to read, move"
    " and cancel this one appointment, and to answer what it waits for. Five wrong answers end the link. POST with a"
    " Parameters body only, and in no Bundle.",
    [
        parameter("token", "string", minimum=1),
        parameter("answer", "string"),
        parameter("status", "code", use="out", minimum=1),
        parameter("start", "dateTime", use="out"),
        parameter("end", "dateTime", use="out"),
        parameter("until", "instant", use="out"),
        parameter("timezone", "code", use="out", minimum=1),
        parameter("place", "string", use="out"),
        parameter("address", "string", use="out"),
        parameter("phone", "ContactPoint", use="out"),
        parameter("tries-left", "integer", use="out"),
        parameter("appointment", "Reference", use="out"),
        parameter("access-token", "string", use="out"),
        parameter("expires", "instant", use="out"),
    ],
    affects_state=True,
    resources=["Appointment"],
)
RENEW_LINK = operation_definition(
    "renew-link",
    "Ask for a new link in the place of one that was ended",
    "Sends a new link to the contact that the first went to, unless the person has changed it since; the earlier one works"
    " no more. POST with a Parameters body only, and in no Bundle.",
    [
        parameter("token", "string", minimum=1),
        parameter("language", "code"),
        parameter("channel", "code", use="out", minimum=1),
    ],
    affects_state=True,
    resources=["Appointment"],
)


@dataclass(frozen=True, slots=True)
class LinkDesk:
    """What both operations work with. `signer` None: nobody acts by a link here."""

    keyring: Keyring
    rules: VisitLinkRules
    limits: CodeLimits
    channels: Channels
    post: NotePost
    answers: Answers
    signer: TokenSigner | None
    site_url: str


class OpenLinkOperation:
    """`$open-link` on Appointment."""

    def __init__(self, desk: LinkDesk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(OPEN_LINK, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        desk, request = self._desk, call.request
        given = OperationInput.in_body(call)
        answer = _answer(given)
        async with call.service.transaction() as connection:
            link, situation = await _found(desk, connection, request, given)
            if situation == "open" and answer is not None:
                granted, refusal = await self._judge(connection, request, link, answer)
            else:
                granted, refusal = [], _closed(situation)
            known = await facts.find(connection, link.event.appointment.actors, request.now)
        # Only now: an error within the transaction would undo the counted try.
        if refusal is not None:
            raise refusal
        left = desk.rules.tries_max - link.tries
        tries = [{"name": "tries-left", "valueInteger": left}] if situation == "open" and not granted else []
        return answered(*_shown(link, known), *tries, *granted)

    async def _judge(
        self, connection: Connection, request: FhirRequest, link: VisitLink, answer: str
    ) -> tuple[list[Resource], CreneauError | None]:
        """What a right answer gives, or the error for a wrong one, which is counted."""
        desk = self._desk
        if desk.signer is None:
            return [], _not_offered()
        if not link.answers:
            return [], _nothing_to_ask()
        tries = await visit_links.count_try(connection, link, desk.rules.tries_max)
        if tries is None:
            return [], _closed("blocked")
        if not desk.answers.holds(answer, link.recipient, link.answers):
            left = desk.rules.tries_max - tries
            return [], _wrong(left) if left > 0 else _closed("blocked")
        await visit_links.take_back_try(connection, link)
        appointment = link.event.appointment
        only = OneAppointment(appointment.id, link.recipient.removeprefix("Patient/"))
        token, expires = desk.signer.sign(
            f"message/{link.message}", request.now, desk.rules.token_lifetime, only
        )
        return [
            {"name": "appointment", "valueReference": {"reference": f"Appointment/{appointment.id}"}},
            {"name": "access-token", "valueString": token},
            {"name": "expires", "valueInstant": instant_to_the_second(expires)},
        ], None


class RenewLinkOperation:
    """`$renew-link` on Appointment."""

    def __init__(self, desk: LinkDesk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(RENEW_LINK, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        desk, request = self._desk, call.request
        given = OperationInput.in_body(call)
        async with call.service.transaction() as connection:
            link, situation = await _found(desk, connection, request, given)
            if situation in ("ended", "cancelled"):
                raise _closed(situation) or _cancelled()
            way, address, contact = await self._reached(connection, link)
            hashed = desk.keyring.hashed(address)
            await take_turn(connection, desk.limits, hashed, request, parameter_named("token"))
            number = await visit_links.renew(connection, link)

        async def take_back() -> None:
            """The turn, since nothing was sent; the earlier link works as before."""
            async with call.service.transaction() as connection:
                counted = codes.to_letter_box(hashed)
                sent = await codes.lock_sent(connection, counted)
                await codes.uncount(connection, counted, sent, request.now)

        url = f"{desk.site_url}/rdv/{desk.keyring.visit_token(link.message, number)}"
        said = given.first("language")
        language = contact.writes_in if not isinstance(said, str) else ("en" if said[:2] == "en" else "fr")
        await send(desk.post, way, address, link_note(url, language), parameter_named("token"), take_back)
        async with call.service.transaction() as connection:
            await visit_links.has_left(connection, link.message, number)
        return answered({"name": "channel", "valueCode": link.channel})

    async def _reached(self, connection: Connection, link: VisitLink) -> tuple[NoteWay, Address, Contact]:
        """Where the message went, if the person is still reached there; Unprocessable otherwise."""
        channel = self._desk.channels.get(link.channel)
        way = next((way for way in NOTE_WAYS if way.name == link.channel), None)
        contact = (await recipients.find(connection, [link.recipient])).get(link.recipient)
        sent_to = await visit_links.sent_to(connection, link.message)
        address = _address(channel, contact)
        if contact is None or way is None or not self._desk.post.offers(way) or address is None:
            raise _not_renewable()
        if channel is None or sent_to is None or channel.address(sent_to).exact != address.exact:
            raise _not_renewable()
        return way, address, contact


def _address(channel: Channel | None, contact: Contact | None) -> Address | None:
    given = channel.given(contact) if channel is not None and contact is not None else None
    try:
        return channel.address(given) if channel is not None and given is not None else None
    except InvalidAddressError:
        return None


async def _found(
    desk: LinkDesk, connection: Connection, request: FhirRequest, given: OperationInput
) -> tuple[VisitLink, Situation]:
    """The link of a token, and its situation; NotFound for any other text."""
    token = given.first("token")
    if not isinstance(token, str) or not token.strip():
        raise BadRequest(
            "Indiquez le jeton du lien reçu, dans le corps de la requête.",
            "Give the token of the link that was received, in the body of the request.",
            code="required",
            expression=parameter_named("token"),
            details_code="link-required",
        )
    read = desk.keyring.read_visit_token(token.strip())
    link = await visit_links.find(connection, read[0]) if read is not None else None
    if read is None or link is None:
        raise _unknown()
    situation = desk.rules.situation(
        link.event.appointment,
        recipient=link.recipient,
        tries=link.tries,
        is_newest=read[1] >= link.number,
        now=request.now,
    )
    return link, situation


def _answer(given: OperationInput) -> str | None:
    answer = given.first("answer")
    return answer if isinstance(answer, str) and answer.strip() else None


def _shown(link: VisitLink, known: Mapping[str, Fact]) -> Iterator[Resource]:
    """What a user of the link sees: nobody's name, and nothing of what the visit is for."""
    appointment = link.event.appointment
    visit = visit_of(appointment, known)
    yield {"name": "status", "valueCode": appointment.status}
    if appointment.status != WAITS:  # its event still has the time of an offer that has ended
        for name, moment in (("start", appointment.start), ("end", appointment.end)):
            local = moment.astimezone(visit.zone).replace(microsecond=0)
            yield {"name": name, "valueDateTime": local.isoformat()}
    if link.event.held_until is not None:
        yield {"name": "until", "valueInstant": instant_to_the_second(link.event.held_until)}
    yield {"name": "timezone", "valueCode": visit.zone.key}
    if visit.mode is Mode.PRACTICE:
        whose = (known[reference].name for reference in sorted(known) if reference.startswith(WHOSE))
        named = visit.site or next(filter(None, whose), None)
        if named:
            yield {"name": "place", "valueString": named}
        if visit.address:
            yield {"name": "address", "valueString": ", ".join(visit.address)}
    if visit.phone:
        yield {"name": "phone", "valueContactPoint": {"system": "phone", "value": visit.phone}}


def _closed(situation: Situation) -> CreneauError | None:
    """The refusal of a link that works no more; None for one that shows at least something."""
    match situation:
        case "ended":
            return Gone(
                "Ce lien ne fonctionne plus : le rendez-vous n'est plus le vôtre, ou est passé.",
                "This link works no longer: the appointment is no longer yours, or is over.",
                code="expired",
                expression=parameter_named("token"),
                details_code="link-ended",
            )
        case "replaced":
            return Gone(
                "Un lien plus récent vous a été envoyé : ouvrez celui du dernier message.",
                "A newer link has been sent to you: open that of the latest message.",
                code="expired",
                expression=parameter_named("token"),
                details_code="link-replaced",
            )
        case "blocked":
            return Gone(
                "Trop de réponses inexactes : ce lien ne fonctionne plus. Demandez-en un nouveau, ou téléphonez au cabinet.",
                "Too many wrong answers: this link works no longer. Ask for a new one, or telephone the practice.",
                code="expired",
                expression=parameter_named("token"),
                details_code="link-blocked",
            )
        case "open" | "cancelled":
            return None


def _cancelled() -> Gone:
    return Gone(
        "Ce rendez-vous est annulé : il n'y a plus rien à déplacer ni à annuler.",
        "This appointment is cancelled: there is nothing left to move or cancel.",
        code="expired",
        expression=parameter_named("token"),
        details_code="link-cancelled",
    )


def _unknown() -> NotFound:
    return NotFound(
        "Ce lien ne mène à rien : il est peut-être incomplet. Copiez-le en entier, ou téléphonez au cabinet.",
        "This link leads nowhere: it may be incomplete. Copy all of it, or telephone the practice.",
        expression=parameter_named("token"),
        details_code="link-unknown",
    )


def _wrong(left: int) -> Unprocessable:
    fr = f"Il vous reste {left} essai{'s' if left > 1 else ''}"
    en = f"You have {left} {'tries' if left > 1 else 'try'} left"
    return Unprocessable(
        f"Ce n'est pas ce que nous connaissons de la personne : vérifiez son année de naissance, ou les trois premières"
        f" lettres de son nom de naissance. {fr}.",
        f"This is not what we know of the person: check the year of birth, or the first three letters of the birth name."
        f" {en}.",
        expression=parameter_named("answer"),
        details_code="link-answer",
    )


def _nothing_to_ask() -> Unprocessable:
    return Unprocessable(
        "Nous n'avons rien à vous demander pour vous reconnaître : téléphonez au cabinet pour déplacer ou annuler.",
        "We have nothing to ask by which to know you: telephone the practice to move or cancel.",
        expression=parameter_named("answer"),
        details_code="link-no-answer",
    )


def _not_offered() -> NotImplementedByServer:
    return NotImplementedByServer(
        "Agir par un lien n'est pas proposé ici : connectez-vous, ou téléphonez au cabinet.",
        "Acting by a link is not offered here: log in, or telephone the practice.",
        details_code="links-not-offered",
    )


def _not_renewable() -> Unprocessable:
    return Unprocessable(
        "Aucun nouveau lien ne peut être envoyé : le contact de ce message n'est plus le vôtre. Ouvrez un message plus"
        " récent, ou téléphonez au cabinet.",
        "No new link can be sent: the contact of this message is no longer yours. Open a later message, or telephone the"
        " practice.",
        expression=parameter_named("token"),
        details_code="link-not-renewable",
    )
