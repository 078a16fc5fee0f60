"""Representing somebody: `RelatedPerson/[id]/$invite`, `RelatedPerson/$accept`, `RelatedPerson/[id]/$renounce`.

A RelatedPerson states who represents the Patient. `$invite` gives a code to a caller who decides about that; the account
that sends it to `$accept` acts by the RelatedPerson from then on. The code is shown once and works once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from creneau_booking.domain.access_rules import Birth
from creneau_booking.domain.proxies import Proxy, is_minor, same_person
from creneau_booking.handlers.people.accounts import tell
from creneau_booking.handlers.people.proxies import RelatedPersonStore
from creneau_booking.storage.agendas.rules import births_of
from creneau_booking.storage.people import accounts, invitations
from creneau_booking.storage.people.accounts import Account, Link
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Forbidden, Unprocessable
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.rest.writing import write_context
from creneau_shared.fhir.storage.store import Stored, WriteContext
from creneau_shared.security.access import Access

TYPE = "RelatedPerson"

INVITE = operation_definition(
    "invite",
    "Invite somebody to represent a patient",
    "Gives a code by which one account takes up what the RelatedPerson states. It is shown once, works once and ends.",
    [
        parameter("code", "string", use="out", minimum=1),
        parameter("expires", "instant", use="out", minimum=1),
    ],
    affects_state=True,
    type_level=False,
    instance=True,
    resources=[TYPE],
)
ACCEPT = operation_definition(
    "accept",
    "Accept to represent a patient",
    "The caller's account takes up what the RelatedPerson states to which the code invites.",
    [parameter("code", "string", minimum=1), parameter("return", TYPE, use="out", minimum=1)],
    affects_state=True,
    resources=[TYPE],
)
RENOUNCE = operation_definition(
    "renounce",
    "Represent a patient no longer",
    "Ends the RelatedPerson by which the caller's account acts, at once.",
    [parameter("return", TYPE, use="out", minimum=1)],
    affects_state=True,
    type_level=False,
    instance=True,
    resources=[TYPE],
)


class InviteOperation:
    """`$invite`: for a caller who decides who represents the Patient, or in whose presence that is decided."""

    def __init__(self, store: RelatedPersonStore, lasts: timedelta) -> None:
        self._store = store
        self._lasts = lasts

    def declare(self) -> Operation:
        return Operation(INVITE, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        request, service = call.request, call.service
        assert call.id is not None
        # A practice invites for patients whom it may register; a counsellor for the person whom they help.
        seen = request.access(TYPE, "r")
        access = seen if request.principal.role == "counsellor" else request.access(TYPE, "u")
        found_by = seen if access.reach == "own" else access
        expires, code = request.now + self._lasts, invitations.new_code()
        async with service.transaction() as connection:
            current = await read_current(connection, self._store, found_by, call.id, lock=True)
            await self._store.require_may_invite(connection, write_context(request, access), current)
            giver = _account_of(request)
            by_person = request.principal.role == "patient"
            await invitations.keep(connection, code, current.id, giver, expires, by_person=by_person)
            await service.audit(connection, request, "E", current)
        answer = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "code", "valueString": code},
                {"name": "expires", "valueInstant": exact_instant(expires)},
            ],
        }
        return Answer(200, dumps(answer))


class AcceptOperation:
    """`$accept`: for the account to which the code was given."""

    def __init__(self, store: RelatedPersonStore) -> None:
        self._store = store

    def declare(self) -> Operation:
        return Operation(ACCEPT, self.handle, secret=True)

    async def handle(self, call: OperationCall) -> Answer:
        request, service = call.request, call.service
        access = _persons_access(request)
        code = _code(call)
        context = write_context(request, access)
        async with service.transaction() as connection:
            current, giver = await self._invitation(connection, code, context)
            account, proxy = _account_of(request), self._store.proxy(current)
            if giver == account:
                raise Forbidden(
                    "Ce code vient de vous : donnez-le à la personne que vous invitez.",
                    "This code comes from you: give it to the person whom you invite.",
                    expression=parameter_named("code"),
                    details_code="proxy-own-code",
                )
            await self._take_up(connection, context, proxy, current, account)
            stored = await self._store.accept(connection, context, current)
            await service.audit(connection, request, "U", stored)
        return Answer.of(stored)

    async def _invitation(
        self, connection: Connection, code: str, context: WriteContext
    ) -> tuple[Stored, Account]:
        """Uses the code up; returns its RelatedPerson, locked, and its giver. Raises Unprocessable if the code is no use."""
        id_ = await invitations.invited_to(connection, code, context.now)
        current = await self._store.lock(connection, id_) if id_ is not None else None
        if current is None or current.deleted:
            raise _unusable()
        proxy = self._store.proxy(current)
        if proxy.has_ended(context.now):
            raise _unusable()
        giver = await invitations.use(connection, code, current.id, proxy.patient, context.now)
        if giver is None:
            raise _unusable()
        return current, giver

    async def _take_up(
        self,
        connection: Connection,
        context: WriteContext,
        proxy: Proxy,
        current: Stored,
        account: Account,
    ) -> None:
        births = await births_of(connection, [proxy.patient, *context.oneself])
        may = proxy.may(minor=is_minor(births.get(proxy.patient), context.now))
        acts = (context.people or {}).get(proxy.patient)
        if acts is not None and (proxy.is_oneself or proxy.patient in context.oneself or not may > acts):
            raise Unprocessable(
                "Votre compte agit déjà pour cette personne.",
                "Your account acts for this person already.",
                code="duplicate",
                details_code="proxy-already",
            )
        if proxy.is_oneself:
            _require_same_person(proxy.patient, context.oneself, births)
        link = Link(proxy.patient, proxy.is_oneself, may, current.id, proxy.since, proxy.until)
        left = await accounts.leave_to(connection, current.id, account)
        await accounts.keep_link(connection, account, link)
        await tell(connection, left, context.now, context.correlation_id)


class RenounceOperation:
    """`$renounce`: for the account that acts by the RelatedPerson."""

    def __init__(self, store: RelatedPersonStore) -> None:
        self._store = store

    def declare(self) -> Operation:
        return Operation(RENOUNCE, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        request, service = call.request, call.service
        assert call.id is not None
        access = _persons_access(request)
        async with service.transaction() as connection:
            seen = request.access(TYPE, "r")
            current = await read_current(connection, self._store, seen, call.id, lock=True)
            if not await accounts.acts_by(connection, _account_of(request), current.id):
                raise Forbidden(
                    "Ce n'est pas par cette représentation que votre compte agit.",
                    "It is not by this statement that your account acts.",
                    expression=TYPE,
                    details_code="proxy-not-yours",
                )
            stored = await self._store.renounce(connection, write_context(request, access), current)
            await service.audit(connection, request, "U", stored)
        return Answer.of(stored)


def _persons_access(request: FhirRequest) -> Access:
    """Returns the access of a person's account. Raises Forbidden for other callers: a practice represents nobody."""
    access = request.access(TYPE, "u")
    if request.principal.role != "patient":
        raise Forbidden(
            "Cette opération est pour le compte d'une personne.",
            "This operation is for a person's account.",
            details_code="proxy-not-yours",
        )
    return access


def _account_of(request: FhirRequest) -> Account:
    return Account(request.principal.issuer, request.principal.subject)


def _code(call: OperationCall) -> str:
    """Returns the code from the body. One in the query does not count: addresses are logged."""
    code = OperationInput.in_body(call).first("code")
    if not isinstance(code, str) or not code:
        raise BadRequest(
            "Indiquez le code de l'invitation dans le corps de la requête.",
            "Give the code of the invitation in the body of the request.",
            code="required",
            expression=parameter_named("code"),
        )
    return code


def _require_same_person(patient: str, oneself: Iterable[str], births: Mapping[str, Birth]) -> None:
    """Refuses an account whose holder was born on another day: it is not this person's."""
    if all(same_person(births.get(patient), births.get(own)) for own in oneself):
        return
    raise Unprocessable(
        "Ce compte est celui d'une personne née un autre jour : la personne invitée se connecte avec le sien.",
        "This account is of somebody born on another day: the person who is invited logs in with their own.",
        code="business-rule",
        details_code="proxy-birth",
    )


def _unusable() -> Unprocessable:
    """Returns the same refusal for a code that is unknown, used or expired, whose RelatedPerson has ended, or whose giver acts
    for the person no more."""
    return Unprocessable(
        "Ce code n'est pas utilisable : il est inconnu, déjà utilisé ou expiré. Demandez-en un autre.",
        "This code cannot be used: it is unknown, used already or expired. Ask for another one.",
        code="not-found",
        expression=parameter_named("code"),
        details_code="proxy-code",
    )
