"""What a service declares to the FHIR layer: its types with their interactions, and its operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.views import SearchView
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.storage.store import Resource, ResourceStore
from creneau_shared.security.access import Access
from creneau_shared.security.principal import Action
from creneau_shared.security.role_table import OPERATIONS

if TYPE_CHECKING:
    from creneau_shared.fhir.rest.server import FhirServer

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
    """What a search of one type is for those who may not ask for everything."""

    def narrow(self, access: Access, pairs: Pairs) -> Pairs:
        """The query as it is answered; what is added is told in `link[self]`."""
        ...

    def check(self, access: Access, wanted: SearchRequest) -> None:
        """Raise Unprocessable for a search that asks for too much."""
        ...


@dataclass(frozen=True)
class ServedType:
    """One resource type that a service serves."""

    store: ResourceStore
    interactions: frozenset[Interaction] = READ_WRITE
    profiles: Sequence[str] = ()
    """canonical URLs of the profiles that resources of the type may claim and are then checked against"""
    views: Sequence[SearchView] = ()
    """profile families that a search may ask for instead of the stored bytes"""
    search_policy: SearchPolicy | None = None
    shown: Callable[[Access, bytes], bytes] | None = None
    """a resource of the type as the caller may see it, where they may not see the whole of what is stored"""
    documentation: str = ""

    @property
    def name(self) -> str:
        return self.store.resource_type


@dataclass(frozen=True)
class OperationCall:
    """One invocation: on a type, or on an instance when `id` is given. `type` is None at system level."""

    server: FhirServer
    request: FhirRequest
    type: str | None
    id: str | None


@dataclass(frozen=True)
class Operation:
    """A FHIR operation: its OperationDefinition and the handler beside it (FHIR R4 operations.html)."""

    definition: Resource
    handler: Callable[[OperationCall], Awaitable[Answer]] = field(repr=False)
    secret: bool = False
    """whether what it takes or answers must be kept nowhere: it is carried out at once, never recorded"""

    @property
    def code(self) -> str:
        return str(self.definition["code"])

    @property
    def right(self) -> tuple[str, Action] | None:
        """What the caller must be allowed, where that is known before the operation is carried out: on which type, what."""
        return OPERATIONS[self.code].right

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(self.definition.get("resource", ()))

    def allows(self, call_type: str | None, id_: str | None) -> bool:
        """Whether the definition offers the operation at this level."""
        if call_type is None:
            return bool(self.definition["system"])
        level = "instance" if id_ is not None else "type"
        return bool(self.definition[level]) and (not self.types or call_type in self.types)
