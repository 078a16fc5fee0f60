"""The interface of every resource type's storage.

The REST layer knows types only through `ResourceStore`: the generic one keeps a type in the tables of
`storage.tables`; a service may bring its own (booking's slots are narrow rows, its appointments have rules).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from creneau_shared.database.pool import Connection
from creneau_shared.security.principal import Role

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one resource as it is stored. `content` is the UTF-8 JSON that is served; None: deleted."""

    resource_type: str
    id: str
    version: int
    last_updated: datetime
    content: bytes | None
    terms: Sequence[str] | None = field(default=None, compare=False, repr=False)
    """the terms by which an index finds the current version, if they were read with it"""

    @property
    def deleted(self) -> bool:
        return self.content is None

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class Effects:
    """What a write does beside the resource that it returns."""

    headers: dict[str, str] = field(default_factory=dict)
    """added to the answer (such as a hold's Expires)"""
    undecided: set[str] = field(default_factory=set)
    """ids of written resources that wait for somebody's decision: answered by 202"""
    besides: list[Stored] = field(default_factory=list)
    """other resources of the type that were changed: each leaves its trace"""


@dataclass(frozen=True, slots=True)
class WriteContext:
    """Who writes, when, and on behalf of which request. Handed to every write."""

    now: datetime
    subject: str = "system"
    """the token's subject, `system` for the service itself"""
    issuer: str = ""
    role: Role = "system"
    by_service: bool = False
    """whether the service writes of its own accord (a hold that runs out): never said by a token"""
    client: str = ""
    """the OAuth client through which they write"""
    practitioner: str | None = None
    """id of the Practitioner that is the caller"""
    national_id: str | None = None
    """the national identifier of the professional that is the caller"""
    patient_ids: frozenset[str] | None = None
    """the Patients this subject acts for; None: not limited to a patient compartment"""
    people: Mapping[str, frozenset[str]] | None = None
    """what they may do for which Patient (see, book, cancel, register, manage); None: they do not act as a consumer"""
    oneself: frozenset[str] = frozenset()
    """those of the Patients that are the caller"""
    required: tuple[str, ...] | None = None
    """terms; a changed resource must bear one of them to be within the caller's reach; None: no limit"""
    organizations: frozenset[str] | None = None
    """Organizations (ids); a written resource must belong to one of them; None: not limited to practices"""
    own_organizations: frozenset[str] = frozenset()
    """those of `organizations` that are the caller's own, and not by a delegation"""
    names_new: bool = False
    """whether the client, and not the service, chose the id of the created resource (PUT)"""
    correlation_id: str | None = None
    effects: Effects = field(default_factory=Effects)
    """what the write has done beside its resource: filled in by the store, read by who answers"""

    @property
    def by_patient(self) -> bool:
        """Whether they act as a consumer: for Patients that are named, under the rules for patients."""
        return self.patient_ids is not None

    def unlimited(self) -> WriteContext:
        """The same write without limits of reach, after the decision that it may be done."""
        return replace(self, people=None, patient_ids=None, required=None, organizations=None)

    def owners(self, named: Iterable[str]) -> frozenset[str]:
        """The owners (Organizations, ids) of a resource that names these. For a caller limited to practices: those named for
        which they speak; without any, the caller's own. A delegating practice is no owner unless named: it delegates
        without asking, and would see whatever the others write."""
        if self.organizations is None:
            return frozenset(named)
        return self.organizations.intersection(named) or self.own_organizations

    def may(self, what: str, patient: str) -> bool:
        """Whether they may do this for a Patient (id); true for a caller who does not act as a consumer."""
        return self.people is None or what in self.people.get(patient, ())

    def represents(self, patient: str) -> bool:
        """Whether they act for this Patient (id) without being them."""
        return self.people is not None and patient not in self.oneself

    def reaches(self, stored: Stored) -> bool:
        """Whether a version, read with its terms, is within the caller's reach."""
        if self.required is None or f"_id={stored.id}" in self.required:
            return True
        return not set(stored.terms or ()).isdisjoint(self.required)


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which versions a history interaction asks for (FHIR R4 http.html#history)."""

    id: str | None
    since: datetime | None
    before: tuple[Any, ...] | None
    """keyset: versions older than (last_updated, id, version), or `backward` newer"""
    count: int
    at: tuple[datetime, datetime] | None = None
    """versions that were current at some moment of this half-open period"""
    required: tuple[str, ...] | None = None
    """terms; a version must have borne one of them; None: every version"""
    backward: bool = False
    """whether the `count` oldest of those newer than `before` are wanted"""


@runtime_checkable
class MovesByItself(Protocol):
    """A store that writes versions of its own accord, as a consequence of writes elsewhere."""

    async def rebased(
        self, connection: Connection, current: Stored, version: int, resource: Resource | None
    ) -> Resource | None:
        """Carries a client's change over to the current version. The client has read `version`, and sends `resource`, or a
        patch (`resource` None).

        Returns the resource to write, or for a patch `{}`: it is applied to `current`. None if others than the store itself
        have written since `version`: the change is refused."""
        ...


@runtime_checkable
class CompletesPatches(Protocol):
    """A store whose patches may leave out what follows from the rest."""

    async def completed(self, connection: Connection, patched: Resource) -> Resource:
        """The patched resource with what follows from it; it has not been checked yet."""
        ...


class ResourceStore(Protocol):
    """The storage of one resource type. Every method runs on the caller's connection and never commits."""

    resource_type: str

    async def read(self, connection: Connection, id_: str) -> Stored | None:
        """The current version, also when it is a deletion; None when the id was never used."""
        ...

    async def read_version(
        self, connection: Connection, id_: str, version: int, required: Sequence[str] | None = None
    ) -> Stored | None:
        """One version, current or superseded, if it bore one of the terms `required` (None: no condition)."""
        ...

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        """The current version, locked against other writers until the transaction ends."""
        ...

    async def has_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        """Whether the resource has one of these terms (`_id=…` included): the compartment check, in SQL. A deleted one
        keeps those that say whose it was."""
        ...

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        """Whether a version of the resource, current or superseded, has or had one of these terms."""
        ...

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        """Store a new resource under a new id, or under `id_` when it is not in use (else Conflict)."""
        ...

    async def replace(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Stored:
        """Store the next version of `current`, which the caller has locked."""
        ...

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Delete `current`, which the caller has locked; the deletion is a version of its own."""
        ...

    async def history(self, connection: Connection, query: HistoryQuery) -> Sequence[Stored]:
        """At most `query.count` versions, newest first."""
        ...

    async def history_total(self, connection: Connection, query: HistoryQuery, most: int | None) -> int:
        """The number of versions that match, on all pages; with `most`, counted up to somewhat above it."""
        ...


@dataclass(frozen=True, slots=True)
class Write:
    """One of several resources that a caller writes together, checked as far as possible without the database."""

    context: WriteContext
    resource: Resource
    id: str
    is_new: bool
    """whether the id was made for this resource, so that no other has it"""
    may_create: bool = True
    """whether the caller may give a resource this id"""
    required: Sequence[str] | None = None
    """terms; the current version must bear one of them; None: no condition"""


@runtime_checkable
class WritesMany(Protocol):
    """The part of a store that can write many resources with a few statements."""

    resource_type: str

    async def write_many(self, connection: Connection, writes: Sequence[Write]) -> Sequence[Stored | None]:
        """Stores what `create` and `replace` would, for each of these writes of one caller, no two with one id.

        Does nothing and returns None for a write that must be done alone: one that would be refused, or that is too
        unusual to be handled here. After any error nothing at all was written.
        """
        ...


ChangeKind = Literal["create", "update", "delete"]
