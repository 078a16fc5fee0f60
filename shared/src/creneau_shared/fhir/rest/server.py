"""The FHIR endpoint of one service: which interaction a request asks for, and who carries it out.

Pure Python between `FhirRequest` and `Answer`; the HTTP edge stands in `endpoint.py`, so that an entry of a batch
takes the very same way as a request of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial

import structlog

from creneau_shared.clock import Clock
from creneau_shared.database.closing import Savepoint
from creneau_shared.database.failures import UNREACHABLE
from creneau_shared.database.pool import Connection, Database
from creneau_shared.database.standby import STANDBY_FAILURES, may_be_older, older_state_will_do
from creneau_shared.errors import CreneauError, MethodNotAllowed, NotFound, NotImplementedByServer
from creneau_shared.fhir.rest import batch, capability, history, reading, searching, writing
from creneau_shared.fhir.rest.asynchronous import AsyncRequests
from creneau_shared.fhir.rest.bounds import ResourceBounds
from creneau_shared.fhir.rest.declaration import Interaction, Operation, OperationCall, ServedType
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.provenance import keep_provenance, provenance_of
from creneau_shared.fhir.rest.reading import ID, UUID, UUID_LENGTH, unknown_resource
from creneau_shared.fhir.rest.validate import VALIDATE
from creneau_shared.fhir.search.cursor import CursorCodec
from creneau_shared.fhir.search.sealing import QuerySeal, is_sealed
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.gathering import GatheredReads, ReadsMany
from creneau_shared.fhir.storage.store import Stored
from creneau_shared.heavy.workshop import Workshop
from creneau_shared.limits.deployment import DeploymentLimits
from creneau_shared.logging import describe
from creneau_shared.security.access import PUBLIC, Access, AccessPolicy, Rights
from creneau_shared.security.audit import (
    PERSONAL,
    REFUSED,
    Auditor,
    Event,
    Touched,
    check_purpose,
    patients_answered,
)
from creneau_shared.security.role_table import require_told

log = structlog.get_logger(__name__)

TRACED_REFUSALS = frozenset({403, 404, 409, 410, 412, 422})
"""statuses that say that something was asked for and not done; others say that it could not be understood"""
_ACTIONS: Mapping[str, str] = {"POST": "E", "PUT": "U", "PATCH": "U", "DELETE": "D"}

Read = Callable[[], Awaitable[Answer]]
Write = Callable[[Connection], Awaitable[Answer]]


_OF_TYPE: Mapping[str, Interaction] = {
    "GET": "search-type",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_INSTANCE: Mapping[str, Interaction] = {
    "GET": "read",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
"""what each method means on a type and on one of its resources (FHIR R4 http.html#summary)"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request will do: exactly one of the two; a write is given the connection of its transaction."""

    read: Read | None = None
    write: Write | None = None


class FhirServer:
    """One service's FHIR interactions over its database."""

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        database: Database,
        clock: Clock,
        policy: AccessPolicy,
        auditor: Auditor,
        types: Sequence[ServedType],
        catalog: Catalog,
        operations: Sequence[Operation] = (),
        cursor_secret: str = "",
        asynchronous: AsyncRequests | None = None,
        limits: DeploymentLimits,
        workshop: Workshop,
        bounds: ResourceBounds,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.database = database
        self.clock = clock
        self.policy = policy
        self.auditor = auditor
        self.types: Mapping[str, ServedType] = {served.name: served for served in types}
        self.catalog = catalog
        self.operations = (*operations, VALIDATE)
        require_told(self.types, (operation.code for operation in self.operations))
        self.cursors = CursorCodec(cursor_secret)
        self.query_seal = QuerySeal(cursor_secret)
        self.asynchronous = asynchronous
        self.limits = limits
        self.workshop = workshop
        self.bounds = bounds
        self._transaction: ContextVar[Connection | None] = ContextVar("fhir transaction", default=None)
        self._gathered = {
            served.name: GatheredReads(database, served.store)
            for served in types
            if served.name in PUBLIC and isinstance(served.store, ReadsMany)
        }

    # -- connections -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection to read with: that of the transaction Bundle in progress, if there is one."""
        current = self._transaction.get()
        if current is not None:
            yield current
            return
        async with self.database.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction that everything inside the block takes part in; within a transaction Bundle, a part of it."""
        current = self._transaction.get()
        if current is not None:
            async with current.transaction():
                with Savepoint():
                    yield current
            return
        async with self.database.transaction() as connection:
            token = self._transaction.set(connection)
            try:
                yield connection
            finally:
                self._transaction.reset(token)

    def gathered_reads(self, resource_type: str) -> GatheredReads | None:
        """How resources of a public type are read together; None within a transaction, which reads for itself, from
        a standby, and for types whose every access is recorded."""
        alone = self._transaction.get() is not None or may_be_older()
        return None if alone else self._gathered.get(resource_type)

    @property
    def in_transaction(self) -> bool:
        """Whether what is done now takes part in a transaction that somebody else will end."""
        return self._transaction.get() is not None

    # -- carrying out ----------------------------------------------------------------------------------------

    async def answer(self, request: FhirRequest) -> Answer:
        """As `handle`, for a client that may rather come back for the answer (`Prefer: respond-async`)."""
        await self.resolve(request)
        if request.prefer.respond_async and self.asynchronous is not None:
            accepted = await self.asynchronous.accept(self, request)
            if accepted is not None:
                return accepted
        return await self.handle(request)

    async def handle(self, request: FhirRequest) -> Answer:
        """Carry out one request; a write is committed before this returns."""
        check_purpose(request)
        if is_sealed(request.query):
            request.query, request.sealed = self.query_seal.open(request.query), True
        await self.resolve(request)
        try:
            return await self._carry_out(request)
        except CreneauError as refusal:
            await self.audit_refusal(request.refused or request, refusal)
            raise

    async def _carry_out(self, request: FhirRequest) -> Answer:
        plan = self.plan(request)
        said = provenance_of(self, request, writes=plan.write is not None)
        if plan.read is not None:
            return await self._read(request, plan.read)
        assert plan.write is not None
        async with self.transaction() as connection:
            answer = await plan.write(connection)
            if said is not None:
                await keep_provenance(self, connection, request, said, answer)
            return answer

    async def _read(self, request: FhirRequest, read: Read) -> Answer:
        """Read; for nobody in particular from a standby, if one is there, and from the primary when it fails."""
        standby = self.database.standby
        if standby is None or not request.principal.anonymous or self.in_transaction:
            return await read()
        try:
            with older_state_will_do():
                return await read()
        except STANDBY_FAILURES as error:
            standby.doubt()
            log.warning("read again from the primary", error=describe(error))
            return await read()

    async def resolve(self, request: FhirRequest) -> Rights:
        """Look up what the caller may do, once a request and before its transaction begins."""
        if request.rights is None:
            principal = request.principal
            if self.policy.needs_memberships(principal):
                async with self.connection() as connection:
                    request.rights = await self.policy.rights(connection, principal, request.now)
            else:
                request.rights = await self.policy.rights(None, principal, request.now)
        return request.rights

    def plan(self, request: FhirRequest) -> Plan:
        """The interaction that the method and the path ask for (FHIR R4 http.html#summary)."""
        path = tuple([p.lower() if len(p) == UUID_LENGTH and UUID.match(p) else p for p in request.path])
        method = "GET" if request.method == "HEAD" else request.method
        if not path or path[0].startswith(("_", "$")) or path == ("metadata",):
            return self._plan_system(request, method, path)
        if len(path) in (3, 4) and path[2] in searching.COMPARTMENT_PARAMETERS.get(path[0], ()):
            return self._plan_compartment(request, method, path)
        served = self.served(path[0])
        match path[1:]:
            case ():
                return self._plan_type(request, method, served)
            case ("_search",):
                self._offers(served, "search-type", method, "POST")
                return Plan(read=lambda: searching.search(self, request, served.store.resource_type))
            case ("_history",):
                self._offers(served, "history-type", method, "GET")
                return Plan(read=lambda: history.history(self, request, [served.store]))
            case (code,) if code.startswith("$"):
                return self._plan_operation(request, method, served.name, None, code)
            case (id_,):
                return self._plan_instance(request, method, served, id_)
            case (id_, "_history"):
                self._offers(served, "history-instance", method, "GET")
                return Plan(read=lambda: history.history(self, request, [served.store], id_))
            case (id_, "_history", version):
                self._offers(served, "vread", method, "GET")
                return Plan(read=lambda: reading.vread(self, request, served.store, id_, version))
            case (id_, code) if code.startswith("$"):
                return self._plan_operation(request, method, served.name, id_, code)
            case (_, target) | (_, target, "_search"):
                raise NotFound(
                    f"{target} n'est pas dans le compartiment de {served.name}.",
                    f"{target} is not in the compartment of {served.name}.",
                    code="not-supported",
                )
        raise NotFound(
            f"L'adresse /{'/'.join(path)} ne désigne aucune interaction FHIR.",
            f"The address /{'/'.join(path)} names no FHIR interaction.",
        )

    def served(self, resource_type: str) -> ServedType:
        """The declaration of a type; NotFound, naming those that exist, when it is not served here."""
        served = self.types.get(resource_type)
        if served is None:
            raise NotFound(
                f"Le type « {resource_type} » n'est pas servi ici. Types servis : {', '.join(sorted(self.types))}.",
                f"The type “{resource_type}” is not served here. Types served: {', '.join(sorted(self.types))}.",
                code="not-supported",
            )
        return served

    def location(self, stored: Stored) -> str:
        """The address of one version, for `Location`."""
        return f"{self.base_url}/{stored.resource_type}/{stored.id}/_history/{stored.version}"

    def shown(self, request: FhirRequest, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """The pairs of a query as a link may say them."""
        return self.query_seal.close(pairs) if request.query_is_private else pairs

    async def audit(
        self,
        connection: Connection,
        request: FhirRequest,
        action: str,
        stored: Stored,
    ) -> None:
        """Leave the trace of an interaction with one resource, in the transaction of the access itself."""
        event = Event(
            action,
            stored.resource_type,
            stored.id,
            stored.version,
            (Touched(stored.resource_type, stored.id, stored.content),),
        )
        await self.auditor.record(connection, request, event)

    def as_shown(self, access: Access, stored: Stored) -> Stored:
        """A version as the caller may see it."""
        shown = self.types[stored.resource_type].shown
        if shown is None or stored.content is None:
            return stored
        return replace(stored, content=shown(access, stored.content))

    async def audit_replay(
        self,
        connection: Connection,
        request: FhirRequest,
        resource_type: str,
        answer: Answer,
    ) -> None:
        """Leave the trace of an answer that is given once more."""
        patients = patients_answered(answer.content or b"")
        id_ = answer.headers.get("Location", "").partition(f"/{resource_type}/")[2].partition("/")[0] or None
        event = Event("R", resource_type, id_, patients=frozenset(patients))
        await self.auditor.record(connection, request, event)

    async def audit_refusal(self, request: FhirRequest, refusal: CreneauError) -> None:
        """Leave the trace of a refusal, once what was begun is undone: of somebody who is known, about one resource
        that is about persons. Whether the resource exists makes no difference to the work that is done, nor to the
        answer, so that neither tells it. A refusal gives no data away: it is answered also when this cannot be written.
        """
        path = request.path
        if (
            refusal.status not in TRACED_REFUSALS
            or request.principal.anonymous
            or len(path) < 2
            or path[0] not in PERSONAL
            or path[0] not in self.types
            or not ID.match(path[1])
        ):
            return
        try:
            async with self.connection() as connection:
                store = self.types[path[0]].store
                found = await store.read(connection, path[1])
                if found is not None and found.deleted and found.version > 1:
                    found = await store.read_version(connection, path[1], found.version - 1)
                touched = (Touched(path[0], path[1], found.content),) if found is not None else ()
                event = Event(
                    _ACTIONS.get(request.method, "R"), path[0], path[1], touched=touched, outcome=REFUSED
                )
                await self.auditor.record(connection, request, event)
        except UNREACHABLE as error:
            log.warning("refusal not recorded", error=describe(error))

    # -- planning --------------------------------------------------------------------------------------------

    def _plan_system(self, request: FhirRequest, method: str, path: tuple[str, ...]) -> Plan:
        match method, path:
            case "POST", ():
                return Plan(read=lambda: batch.process(self, request))
            case "GET", ():
                return Plan(read=lambda: searching.search_system(self, request))
            case "POST", ("_search",):
                return Plan(read=lambda: searching.search_system(self, request))
            case "GET", ("metadata",):
                return Plan(read=lambda: capability.metadata(self, request))
            case "GET", ("_history",):
                stores = [s.store for s in self.types.values() if "history-type" in s.interactions]
                return Plan(read=lambda: history.history(self, request, stores))
            case _, ("_async", service, id_):
                return self._plan_polling(request, method, service, id_)
            case _, (code,) if code.startswith("$"):
                return self._plan_operation(request, method, None, None, code)
        allowed = {
            (): "GET, HEAD, POST",
            ("metadata",): "GET, HEAD",
            ("_history",): "GET, HEAD",
            ("_search",): "POST",
        }
        raise MethodNotAllowed.at_address(method, allowed.get(path, "POST"))

    def _plan_polling(self, request: FhirRequest, method: str, service: str, id_: str) -> Plan:
        asynchronous = self.asynchronous
        if asynchronous is None or service != asynchronous.service:
            raise NotFound(
                f"Aucune demande n'attend sa réponse sous _async/{service}.",
                f"No request waits for its answer below _async/{service}.",
            )
        if method == "GET":
            return Plan(read=lambda: asynchronous.poll(self, request, id_))
        if method == "DELETE":
            return Plan(read=lambda: asynchronous.cancel(self, request, id_))
        raise MethodNotAllowed.at_address(method, "GET, HEAD, DELETE")

    def _plan_type(self, request: FhirRequest, method: str, served: ServedType) -> Plan:
        _require_offered(_OF_TYPE, served, method)
        store = served.store
        match method:
            case "GET":
                return Plan(read=lambda: searching.search(self, request, served.name))
            case "POST":
                return Plan(write=lambda connection: writing.create(self, connection, request, store))
            case "PUT":
                return Plan(
                    write=lambda connection: writing.conditional_update(self, connection, request, store)
                )
            case "PATCH":
                return Plan(write=lambda connection: writing.patch(self, connection, request, store, None))
            case _:
                return Plan(
                    write=lambda connection: writing.conditional_delete(self, connection, request, store)
                )

    def _plan_instance(self, request: FhirRequest, method: str, served: ServedType, id_: str) -> Plan:
        _require_offered(_OF_INSTANCE, served, method)
        store = served.store
        match method:
            case "GET":
                return Plan(read=lambda: reading.read(self, request, store, id_))
            case "PUT":
                return Plan(write=lambda connection: writing.update(self, connection, request, store, id_))
            case "PATCH":
                return Plan(write=lambda connection: writing.patch(self, connection, request, store, id_))
            case _:
                return Plan(write=lambda connection: writing.delete(self, connection, request, store, id_))

    def _plan_operation(
        self, request: FhirRequest, method: str, resource_type: str | None, id_: str | None, code: str
    ) -> Plan:
        for operation in self.operations:
            if f"${operation.code}" == code and operation.allows(resource_type, id_):
                affects_state = bool(operation.definition.get("affectsState"))
                if method != "POST" and (affects_state or method != "GET"):
                    raise MethodNotAllowed.at_address(method, "POST" if affects_state else "GET, HEAD, POST")
                call = OperationCall(self, request, resource_type, id_)
                return Plan(read=partial(operation.handler, call))
        raise NotImplementedByServer(
            f"L'opération {code} n'existe pas ici.",
            f"The operation {code} does not exist here.",
        )

    def _plan_compartment(self, request: FhirRequest, method: str, path: tuple[str, ...]) -> Plan:
        """`Patient/12/Appointment`, also where the owner itself is another service's."""
        owner, id_, target, *by_form = path
        if not ID.match(id_):
            raise unknown_resource(owner, id_)
        if by_form not in ([], ["_search"]):
            raise NotFound(
                f"L'adresse /{'/'.join(path)} ne désigne aucune interaction FHIR.",
                f"The address /{'/'.join(path)} names no FHIR interaction.",
            )
        self._offers(self.served(target), "search-type", method, "POST" if by_form else "GET")
        return Plan(read=lambda: searching.search_compartment(self, request, owner, id_, target))

    def _offers(self, served: ServedType, interaction: Interaction, method: str, expected: str) -> None:
        if interaction not in served.interactions:
            raise MethodNotAllowed.at_address(method, "")
        if method != expected:
            raise MethodNotAllowed.at_address(method, "GET, HEAD" if expected == "GET" else expected)


def _require_offered(offered: Mapping[str, Interaction], served: ServedType, method: str) -> None:
    """MethodNotAllowed, naming what is offered, unless the type offers the method's interaction."""
    if offered.get(method) in served.interactions:
        return
    allowed = [verb for verb, interaction in offered.items() if interaction in served.interactions]
    raise MethodNotAllowed.at_address(method, ", ".join(["HEAD", *allowed] if "GET" in allowed else allowed))
