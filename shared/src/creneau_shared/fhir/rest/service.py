"""What one FHIR service is: the types that it serves, where they are stored, who may reach them, and what leaves a trace.

Every interaction is given a `FhirService`, which knows no interaction: `router.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from datetime import datetime

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.database.standby import may_be_older
from creneau_shared.database.taking_part import Transactions
from creneau_shared.errors import CreneauError, NotFound
from creneau_shared.fhir.audit import Auditor, Event, Touched, patients_answered
from creneau_shared.fhir.rest.bounds import Bounds
from creneau_shared.fhir.rest.declaration import ServedType
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.heavy_work import HeavyWork
from creneau_shared.fhir.search.cursor import CursorCodec
from creneau_shared.fhir.search.sealing import QuerySeal, is_sealed
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.gathering import GatheredReads, ReadsMany
from creneau_shared.fhir.storage.store import Stored
from creneau_shared.limits.deployment import DeploymentLimits
from creneau_shared.refusal import Refusal
from creneau_shared.security.access import PUBLIC, Access, AccessPolicy

Words = Callable[[Refusal], CreneauError]
"""A service's catalogue: makes the error that tells of a refusal."""
Observer = Callable[[FhirRequest, int], None]
"""Is told of each request or entry of a Bundle, and the status with which it ended. It does not wait."""


def seen_by_nobody(request: FhirRequest, status: int) -> None:
    """The observer of a service that watches nothing."""


class FhirService:
    """One service's types over its database."""

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
        cursor_secret: str = "",
        limits: DeploymentLimits,
        workshop: HeavyWork,
        bounds: Bounds,
        words: Words | None = None,
        observer: Observer = seen_by_nobody,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.database = database
        self.clock = clock
        self.policy = policy
        self.auditor = auditor
        self.types: Mapping[str, ServedType] = {served.name: served for served in types}
        self.catalog = catalog
        self.cursors = CursorCodec(cursor_secret)
        self.limits = limits
        self.workshop = workshop
        self.bounds = bounds
        self._words = words
        self.observe = observer
        self._query_seal = QuerySeal(cursor_secret)
        self._transactions = Transactions(database)
        self._gathered = {
            served.name: GatheredReads(database, served.store)
            for served in types
            if served.name in PUBLIC and isinstance(served.store, ReadsMany)
        }

    # -- types -----------------------------------------------------------------------------------------------

    def served(self, resource_type: str) -> ServedType:
        """The declaration of a type; NotFound, with the address that lists the served types, when it is not served here."""
        served = self.types.get(resource_type)
        if served is None:
            raise NotFound(
                f"Le type « {resource_type} » n'est pas servi ici. GET {self.base_url}/metadata dit lesquels le sont.",
                f"The type “{resource_type}” is not served here. GET {self.base_url}/metadata says which types are.",
                code="not-supported",
            )
        return served

    def location(self, stored: Stored) -> str:
        """The address of one version, for `Location`."""
        return f"{self.base_url}/{stored.resource_type}/{stored.id}/_history/{stored.version}"

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turns a refusal raised within into the error that tells of it: the one place where facts become words."""
        try:
            yield
        except Refusal as refusal:
            if self._words is None:
                raise
            raise self._words(refusal) from refusal

    # -- access ----------------------------------------------------------------------------------------------

    async def resolve(self, request: FhirRequest) -> None:
        """Look up what the caller may do, once a request and before its transaction begins."""
        if request.rights is not None:
            return
        principal = request.principal
        if self.policy.needs_memberships(principal):
            async with self.connection() as connection:
                request.rights = await self.policy.rights(connection, principal, request.now)
        else:
            request.rights = await self.policy.rights(None, principal, request.now)

    async def resolve_again(self, connection: Connection, request: FhirRequest) -> None:
        """Looks the rights up again within a transaction that has just written what they depend on."""
        if self.policy.needs_memberships(request.principal):
            request.rights = await self.policy.rights(connection, request.principal, request.now)

    def require_asked_rightly(self, request: FhirRequest, resource_type: str) -> None:
        """Raises the type's refusal of this way of reading it (`ServedType.asked_by`)."""
        served = self.types.get(resource_type)
        if served is not None and served.asked_by is not None:
            served.asked_by(request)

    def as_shown(self, access: Access, stored: Stored) -> Stored:
        """A version as the caller may see it."""
        shown = self.types[stored.resource_type].shown
        if shown is None or stored.content is None:
            return stored
        return replace(stored, content=shown(access, stored.content))

    def unseal(self, request: FhirRequest) -> None:
        """Open the sealed values of a link that this service gave."""
        if is_sealed(request.query):
            request.query, request.sealed = self._query_seal.open(request.query), True

    def shown(self, request: FhirRequest, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """The pairs of a query as a link may show them: sealed when the query is private."""
        return self._query_seal.close(pairs) if request.query_is_private else pairs

    async def versions_as_shown(
        self, connection: Connection, access: Access, now: datetime, versions: Sequence[Stored]
    ) -> Sequence[Stored]:
        """Versions of resources of one type as the caller may see them now."""
        served = self.types[access.resource_type]
        if served.in_hindsight is not None:
            versions = await served.in_hindsight(connection, access, now, versions)
        return [self.as_shown(access, version) for version in versions]

    # -- connections -----------------------------------------------------------------------------------------

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection to read with: that of the transaction under way, if there is one."""
        return self._transactions.connection()

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """A transaction that everything inside the block takes part in; within a transaction Bundle, a part of it."""
        return self._transactions.transaction()

    @property
    def in_transaction(self) -> bool:
        """Whether what is done now takes part in a transaction that somebody else will end."""
        return self._transactions.under_way

    def gathered_reads(self, resource_type: str) -> GatheredReads | None:
        """The reader that gathers reads of a public type; None within a transaction or where an older state will do, and
        for types whose every access is recorded."""
        alone = self._transactions.under_way or may_be_older()
        return None if alone else self._gathered.get(resource_type)

    # -- traces ----------------------------------------------------------------------------------------------

    async def audit(self, connection: Connection, request: FhirRequest, action: str, stored: Stored) -> None:
        """Leave the trace of an interaction with one resource, in the transaction of the access itself."""
        event = Event(
            action,
            stored.resource_type,
            stored.id,
            stored.version,
            (Touched(stored.resource_type, stored.id, stored.content),),
        )
        await self.auditor.record(connection, request, event)

    async def audit_replay(
        self, connection: Connection, request: FhirRequest, resource_type: str, answer: Answer
    ) -> None:
        """Leave the trace of an answer that is given once more."""
        patients = patients_answered(answer.content or b"")
        event = Event("R", resource_type, answer.id_of(resource_type), patients=frozenset(patients))
        await self.auditor.record(connection, request, event)
