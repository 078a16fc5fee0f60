"""What a service declares of a type: where it is stored, which interactions it offers, how it is searched and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.judging import OwnRules
from creneau_shared.fhir.rest.views import SearchView
from creneau_shared.fhir.search.request import Limits, SearchRequest
from creneau_shared.fhir.search.sql import AsSeen, SearchTable
from creneau_shared.fhir.storage.store import ResourceStore, Stored
from creneau_shared.security.access import Access

Interaction = Literal[
    "read", "vread", "create", "update", "patch", "delete", "history-instance", "history-type", "search-type"
]
READ_ONLY: frozenset[Interaction] = frozenset(
    {"read", "vread", "history-instance", "history-type", "search-type"}
)
READ_AND_SEARCH: frozenset[Interaction] = frozenset({"read", "search-type"})
READ_WRITE: frozenset[Interaction] = READ_ONLY | {"create", "update", "patch", "delete"}

Pairs = Sequence[tuple[str, str]]


class SearchPolicy(Protocol):
    """Limits searches of one type for callers who may not ask for everything."""

    def narrow(self, access: Access, pairs: Pairs) -> Pairs:
        """The query as it is answered; added criteria are told in `link[self]`."""
        ...

    def check(self, access: Access, wanted: SearchRequest) -> None:
        """Raise Unprocessable for a search that asks for too much."""
        ...

    async def table(
        self, connection: Connection, access: Access, request: FhirRequest, wanted: SearchRequest
    ) -> SearchTable | None:
        """The type's table for this caller at this moment, in a search of the type or one that reaches it by a chain; None:
        the table that everybody has."""
        ...

    def leaves_nothing_to_complete(self, wanted: SearchRequest) -> bool:
        """Whether the search finds only resources of the type that are shown as they are stored."""
        ...


class Completion(Protocol):
    """Completes resources of one type for a caller; in their order. A completed resource is a new `bytes` object, even with
    the same text: its text may differ at the next look, though the version is the same."""

    async def __call__(
        self, connection: Connection, access: Access, now: datetime, contents: Sequence[bytes]
    ) -> Sequence[bytes]: ...


class Hindsight(Protocol):
    """Returns versions of resources of one type, superseded ones too, as the caller may see them; in their order. What is
    said of the resources now decides."""

    async def __call__(
        self, connection: Connection, access: Access, now: datetime, versions: Sequence[Stored]
    ) -> Sequence[Stored]: ...


class EmptyRemarks(Protocol):
    """Returns remarks on a search of one type that has found nothing."""

    async def __call__(
        self, connection: Connection, request: FhirRequest, wanted: SearchRequest
    ) -> Sequence[Issue]: ...


@dataclass(frozen=True)
class ServedType:
    """One resource type that a service serves."""

    store: ResourceStore
    interactions: frozenset[Interaction] = READ_WRITE
    profiles: Sequence[str] = ()
    """canonical URLs of the profiles that resources of the type may declare and are then checked against"""
    views: Sequence[SearchView] = ()
    """profile families that a search may ask for instead of the stored bytes"""
    search_policy: SearchPolicy | None = None
    search_limits: Limits | None = None
    """what one search of the type may ask for, and how long its pages are; None: the general limits"""
    completed: Completion | None = None
    """adds what this caller is told at this moment beside the stored content, on read and search"""
    completed_for: Callable[[Access], bool] = lambda access: True
    """whether this caller is told anything beside the stored content"""
    shown: Callable[[Access, bytes], bytes] | None = None
    """returns a resource of the type as the caller may see it; None: all see the whole of what is stored"""
    searched_as_seen: Callable[[Access], AsSeen | None] | None = None
    """how the conditions of searches hold of what `shown` leaves, so that nobody finds what they are not shown; None: they
    are asked of what is stored"""
    in_hindsight: Hindsight | None = None
    """changes versions in a history that may not tell everything, or no longer"""
    own_rules: OwnRules | None = None
    asked_by: Callable[[FhirRequest], None] | None = None
    """refuses callers who may not read the type in this way, whatever else they may read"""
    remarks: EmptyRemarks | None = None
    """returns remarks on a search of the type that has found nothing"""
    documentation: str = ""

    @property
    def name(self) -> str:
        return self.store.resource_type

    def completion(self, access: Access) -> Completion | None:
        """What completes resources of the type for this caller, if anything does."""
        return self.completed if self.completed is not None and self.completed_for(access) else None
