"""What every resource type's storage can do, whoever implements it.

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
    """what an index finds the current version by, where it was read with it"""

    @property
    def deleted(self) -> bool:
        return self.content is None

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class WriteContext:
    """Who writes, when, and on behalf of which request. Handed to every write."""

    now: datetime
    subject: str = "system"
    """the token's subject, `system` for the service itself"""
    issuer: str = ""
    role: Role = "system"
    by_service: bool = False
    """the service itself, of its own accord (a hold that runs out): never said by a token"""
    client: str = ""
    """the OAuth client through which they write"""
    practitioner: str | None = None
    """id of the Practitioner who they are"""
    national_id: str | None = None
    """the national identifier of the professional who they are"""
    patient_ids: frozenset[str] | None = None
    """the Patients this subject acts for; None: not limited to a patient compartment"""
    people: Mapping[str, frozenset[str]] | None = None
    """what they may do for which Patient (see, book, cancel, register, manage); None: they do not act as a consumer"""
    oneself: frozenset[str] = frozenset()
    """those of the Patients who they are"""
    required: tuple[str, ...] | None = None
    """the terms of which what is changed must bear one to be within the caller's reach; None: no limit"""
    organizations: frozenset[str] | None = None
    """the Organizations (ids) to one of which what is written must belong; None: not limited to practices"""
    own_organizations: frozenset[str] = frozenset()
    """those of them that are theirs, and not by a delegation"""
    names_new: bool = False
    """whether the id of what is created is the client's choice (PUT), and none of ours"""
    correlation_id: str | None = None
    answer: dict[str, str] = field(default_factory=dict)
    """response headers that the write adds (such as a hold's Expires)"""
    undecided: set[str] = field(default_factory=set)
    """ids of what was written and waits for somebody's decision: answered by 202"""
    besides: list[Stored] = field(default_factory=list)
    """others of the type that the same write has changed: each leaves its trace"""

    def unlimited(self) -> WriteContext:
        """The same write where it was decided already that it may be done: limited to nobody's reach."""
        return replace(self, people=None, patient_ids=None, required=None, organizations=None)

    def owners(self, named: Iterable[str]) -> frozenset[str]:
        """Whose (Organizations, ids) is what names these: of a caller who is limited to practices, those for which they
        speak; where it is none of these, their own. What was delegated to them is no owner by that alone: whoever
        delegates asks nobody, and would come to see whatever the others write."""
        if self.organizations is None:
            return frozenset(named)
        return self.organizations.intersection(named) or self.own_organizations

    def may(self, what: str, patient: str) -> bool:
        """Whether they may do this for a Patient (id); whoever does not act as a consumer is not limited so."""
        return self.people is None or what in self.people.get(patient, ())

    def represents(self, patient: str) -> bool:
        """Whether they act for this Patient (id) without being them."""
        return self.people is not None and patient not in self.oneself

    def reaches(self, stored: Stored) -> bool:
        """Whether what was read, with its terms, is within the caller's reach."""
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
    """the terms of which a version must have borne one; None: every version"""
    backward: bool = False
    """whether the `count` oldest of those newer than `before` are wanted"""


@runtime_checkable
class MovesByItself(Protocol):
    """A store that writes versions of its own accord, as a consequence of what its clients write elsewhere."""

    async def rebased(
        self, connection: Connection, current: Stored, version: int, resource: Resource | None
    ) -> Resource | None:
        """What a client that read `version` means to write over `current` (`resource`; None: a patch, which is applied to
        it), where all that has changed since is the store's own doing; None: others have written meanwhile."""
        ...


@runtime_checkable
class CompletesPatches(Protocol):
    """A store of which a patch may leave out what follows from the rest."""

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
        """One version, current or superseded, if it bore one of the terms `required` (None: whatever it bore)."""
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
        """The number of versions that match, wherever a page begins; with `most`, counted up to somewhat above it."""
        ...


@dataclass(frozen=True, slots=True)
class Write:
    """One of the resources that a caller writes together, checked as far as it can be without the database."""

    context: WriteContext
    resource: Resource
    id: str
    is_new: bool
    """whether the id was made for it, so that nobody has it"""
    may_create: bool = True
    """whether the caller may give a resource this id"""
    required: Sequence[str] | None = None
    """the terms of which the current version must bear one; None: whatever it bears"""


@runtime_checkable
class WritesMany(Protocol):
    """The part of a store that can write many resources with a few statements."""

    resource_type: str

    async def write_many(self, connection: Connection, writes: Sequence[Write]) -> Sequence[Stored | None]:
        """Store what `create` and `replace` would, for each of these writes of one caller, no two of one id.

        None, and nothing done, for what must be written alone: whatever would be refused, and whatever is unusual
        enough not to be known here. Any error says that nothing at all was written.
        """
        ...


ChangeKind = Literal["create", "update", "delete"]
