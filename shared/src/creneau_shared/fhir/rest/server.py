"""How one service's FHIR base answers: the order in which a request is judged and carried out.

Pure Python between `FhirRequest` and `Answer`; the HTTP edge stands in `endpoint.py`, so that an entry of a Bundle
takes the very same way as a request of its own:

    endpoint.py   bytes → FhirRequest
    server.py     who is this (`FhirService.resolve`) → what do they want, and may they (`router.py`)
                  → one transaction, where something is written → the interaction → Answer
    reading.py writing.py searching.py history.py capability.py operation.py batch.py transaction.py   the interactions
    service.py    what they all work with: types, stores, connections, traces
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from creneau_shared.database.pool import Connection
from creneau_shared.database.standby import STANDBY_FAILURES, older_state_will_do
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.audit import check_purpose
from creneau_shared.fhir.rest import accepting
from creneau_shared.fhir.rest.asynchronous import AsyncRequests
from creneau_shared.fhir.rest.bundles import batch
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import Operation
from creneau_shared.fhir.rest.provenance import keep_provenance, provenance_of
from creneau_shared.fhir.rest.refusals import audit_refusal
from creneau_shared.fhir.rest.router import Read, Route, Router
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.rest.validate import VALIDATE
from creneau_shared.logging import describe
from creneau_shared.security.role_table import require_told

log = structlog.get_logger(__name__)


class FhirServer:
    """Answers requests for one service's types and operations."""

    def __init__(
        self,
        service: FhirService,
        operations: Sequence[Operation] = (),
        asynchronous: AsyncRequests | None = None,
    ) -> None:
        self.service = service
        self.operations = (*operations, VALIDATE)
        self.asynchronous = asynchronous
        require_told(service.types, (operation.code for operation in self.operations))
        self._router = Router(service, self.operations, asynchronous)

    async def answer(self, request: FhirRequest) -> Answer:
        """As `handle`, for a client that may prefer to come back for the answer (`Prefer: respond-async`)."""
        try:
            answer = await self._answer(request)
        except CreneauError as refusal:
            self.service.observe(request, refusal.status)
            raise
        self.service.observe(request, answer.status)
        return answer

    async def _answer(self, request: FhirRequest) -> Answer:
        asynchronous = self.asynchronous
        later = accepting.is_for_later(request, self.operations)
        wished = request.prefer.respond_async and accepting.can_wait(request, self.operations)
        if asynchronous is None or not (later or wished):
            return await self.handle(request)
        await self.service.resolve(request)
        accepting.check_at_once(self.service, request, self._route(request))
        return await asynchronous.accept(self.service, request)

    async def handle(self, request: FhirRequest) -> Answer:
        """Carry out one request; a write is committed before this returns."""
        check_purpose(request)
        self.service.unseal(request)
        await self.service.resolve(request)
        try:
            with self.service.in_words():
                return await self._carry_out(request)
        except CreneauError as refusal:
            await audit_refusal(self.service, request.refused or request, refusal)
            raise

    def judge(self, request: FhirRequest) -> None:
        """Raises what forbids a request to its caller, whose rights are known. Nothing is read or written."""
        self._route(request)

    async def take_part(self, connection: Connection, request: FhirRequest) -> Answer:
        """Carry out one request, whose rights are known, as a part of the transaction of `connection`."""
        self.service.unseal(request)
        route = self._route(request)
        with self.service.in_words():
            if route.read is not None:
                return await route.read()
            assert route.write is not None
            return await route.write(connection)

    async def _carry_out(self, request: FhirRequest) -> Answer:
        route = self._route(request)
        said = provenance_of(self.service, request, writes=route.write is not None)
        if route.read is not None:
            return await (route.read() if route.once else self._read(request, route.read))
        assert route.write is not None
        async with self.service.transaction() as connection:
            answer = await route.write(connection)
            if said is not None:
                await keep_provenance(self.service, connection, request, said, answer)
            return answer

    async def _read(self, request: FhirRequest, read: Read) -> Answer:
        """Reads. Anonymous requests are read from a standby, if there is one, and from the primary when that fails."""
        standby = self.service.database.standby
        if standby is None or not request.principal.anonymous or self.service.in_transaction:
            return await read()
        try:
            with older_state_will_do():
                return await read()
        except STANDBY_FAILURES as error:
            standby.doubt()
            log.warning("read again from the primary", error=describe(error))
            return await read()

    def _route(self, request: FhirRequest) -> Route:
        if not request.path and request.method == "POST":
            return Route(read=partial(batch.process, self.service, self, request))
        return self._router.route(request)
