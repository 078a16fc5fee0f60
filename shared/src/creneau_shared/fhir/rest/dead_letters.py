"""`$dead-letters`, `$replay-dead-letter`, `$discard-dead-letter`: events that a service's consumers could not handle, for
the operator alone. They tell why and since when, never what an event says or about whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from creneau_shared.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unprocessable,
)
from creneau_shared.fhir.audit import Event
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.messaging import buried
from creneau_shared.messaging.buried import Letter, State
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.replay import replay_one
from creneau_shared.security.role_table import OPERATE

OPERATORS = ("operator", "system")
REASON_CHARACTERS_MIN = 3

Consumers = Callable[[], Sequence[Consumer]]
"""Makes the consumers of a service, whose own handlers handle a letter again."""


_LETTER = parameter(
    "letter",
    None,
    use="out",
    maximum="*",
    part=[
        parameter("id", "string", use="out", minimum=1),
        parameter("topic", "string", use="out", minimum=1),
        parameter("consumer", "string", use="out", minimum=1),
        parameter("type", "string", use="out", minimum=1),
        parameter("reason", "code", use="out", minimum=1),
        parameter("attempts", "integer", use="out", minimum=1),
        parameter("since", "instant", use="out", minimum=1),
    ],
)
LIST = operation_definition(
    "dead-letters",
    "Dead letters that wait",
    f"What could not be handled, and why; never what it says. For the scope {OPERATE}.",
    [_LETTER, parameter("unavailable", "string", use="out", maximum="*")],
    affects_state=False,
)
REPLAY = operation_definition(
    "replay-dead-letter",
    "Handle a dead letter again",
    f"Gives one event its effect, once its cause is corrected. For the scope {OPERATE}; traced by an AuditEvent.",
    [
        parameter("id", "string", minimum=1),
        parameter("state", "code", use="out", minimum=1),
        parameter("reason", "code", use="out"),
    ],
    affects_state=True,
)
DISCARD = operation_definition(
    "discard-dead-letter",
    "Give a dead letter up",
    f"Takes one letter off the list, for a reason that is kept. For the scope {OPERATE}; traced by an AuditEvent.",
    [
        parameter("id", "string", minimum=1),
        parameter("reason", "string", minimum=1),
        parameter("state", "code", use="out", minimum=1),
    ],
    affects_state=True,
)
DEFINITIONS = (LIST, REPLAY, DISCARD)


class DeadLetterOperations:
    """The three operations of one service. `service`: its short name, with which the ids of its letters begin."""

    def __init__(self, service: str, consumers: Consumers) -> None:
        self._service = service
        self._consumers = consumers

    def declare(self) -> list[Operation]:
        handlers = (self.list, self.replay, self.discard)
        # A replay is carried out at once, whatever is preferred: a request recorded for later is one transaction.
        return [
            Operation(definition, handler, secret=definition is REPLAY)
            for definition, handler in zip(DEFINITIONS, handlers, strict=True)
        ]

    async def list(self, call: OperationCall) -> Answer:
        """The letters that wait, the oldest first."""
        require_operator(call.request)
        async with call.service.connection() as connection:
            letters = await buried.waiting(connection)
        parts = [{"name": "letter", "part": self._parts(letter)} for letter in letters]
        return _parameters(parts)

    def _parts(self, letter: Letter) -> Sequence[Resource]:
        return [
            {"name": "id", "valueString": f"{self._service}-{letter.id}"},
            {"name": "topic", "valueString": letter.topic},
            {"name": "consumer", "valueString": letter.consumer},
            {"name": "type", "valueString": letter.type or "?"},
            {"name": "reason", "valueCode": letter.reason},
            {"name": "attempts", "valueInteger": letter.attempts},
            {"name": "since", "valueInstant": instant(letter.buried_at)},
        ]

    async def replay(self, call: OperationCall) -> Answer:
        """Handles one letter with its consumer's own handlers: `replayed`, `lost`, or `waiting` with the reason why it
        failed again. If it failed and somebody else has closed the letter meanwhile, their state is answered.

        The attempt is a transaction of its own, between two that look at the letter. The inbox makes sure that two
        operators at once, or one who retries after a process has died, bring about one effect.
        """
        require_operator(call.request)
        given = OperationInput.of(call)
        async with call.service.transaction():
            letter = await self._waiting(call, given)
            await self._trace(call, letter)
        consumer = next((one for one in self._consumers() if one.name == letter.consumer), None)
        if consumer is None:
            raise _nobody(letter)
        state, reason = await replay_one(consumer, letter)
        async with call.service.transaction() as connection:
            now = await buried.locked(connection, letter.id) or letter
            if state != "replayed" and now.state != "waiting":
                state, reason = now.state, None
            elif state != "waiting":
                await buried.close(connection, [letter.id], state, call.request.now)
        parts = [{"name": "state", "valueCode": state}]
        return _parameters([*parts, {"name": "reason", "valueCode": reason}] if reason else parts)

    async def discard(self, call: OperationCall) -> Answer:
        """Give one letter up, for a reason."""
        require_operator(call.request)
        given = OperationInput.of(call)
        why = given.first("reason")
        if not isinstance(why, str) or len(why.strip()) < REASON_CHARACTERS_MIN:
            raise BadRequest(
                "Dites pourquoi ce message est abandonné (reason).",
                "Say why this letter is given up (reason).",
                code="required",
                expression=parameter_named("reason"),
            )
        state: State = "discarded"
        async with call.service.transaction() as connection:
            letter = await self._waiting(call, given)
            await self._trace(call, letter)
            await buried.close(
                connection, [letter.id], state, call.request.now, why.strip()[: buried.REASON_CHARACTERS_MAX]
            )
        return _parameters([{"name": "state", "valueCode": state}])

    async def _waiting(self, call: OperationCall, given: OperationInput) -> Letter:
        """The letter that is meant, locked; NotFound, or Conflict when it waits no more."""
        said = given.first("id")
        id_ = _uuid(said, self._service) if isinstance(said, str) else None
        letter = None
        if id_ is not None:
            async with call.service.connection() as connection:
                letter = await buried.locked(connection, id_)
        if letter is None:
            raise NotFound(
                "Ce message mort n'existe pas, ou plus.",
                "This dead letter does not exist, or no more.",
                expression=parameter_named("id"),
            )
        if letter.state != "waiting":
            raise Conflict(
                f"Ce message mort est déjà traité : {letter.state}.",
                f"This dead letter has been dealt with: {letter.state}.",
                expression=parameter_named("id"),
                details_code="letter-closed",
            )
        return letter

    async def _trace(self, call: OperationCall, letter: Letter) -> None:
        async with call.service.connection() as connection:
            event = Event("E", "Basic", str(letter.id), operates=True)
            await call.service.auditor.record(connection, call.request, event)


def require_operator(request: FhirRequest) -> None:
    """Unauthenticated or Forbidden unless an operator asks, with the scope for it."""
    principal = request.principal
    if principal.anonymous:
        raise Unauthenticated(
            "Identifiez-vous comme exploitant.",
            "Log in as an operator.",
            headers={"WWW-Authenticate": 'Bearer realm="Creneau"'},
        )
    if principal.role not in OPERATORS or OPERATE not in principal.flags:
        raise Forbidden(
            f"Cette opération est réservée aux exploitants (portée {OPERATE}).",
            f"This operation is the operators' (scope {OPERATE}).",
            details_code="operators-only",
        )


def _uuid(said: str, service: str) -> UUID | None:
    name, _, id_ = said.partition("-")
    try:
        return UUID(id_) if name == service else None
    except ValueError:
        return None


def _nobody(letter: Letter) -> Unprocessable:
    return Unprocessable(
        f"Plus rien ne traite les messages de {letter.consumer}.",
        f"Nothing handles the letters of {letter.consumer} any more.",
        expression=parameter_named("id"),
        details_code="no-consumer",
    )


def _parameters(parts: Sequence[Resource]) -> Answer:
    resource: Resource = {"resourceType": "Parameters"}
    return Answer(200, dumps({**resource, "parameter": list(parts)} if parts else resource))
