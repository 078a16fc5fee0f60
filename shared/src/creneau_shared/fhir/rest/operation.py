"""What a service declares beside its types: operations, each a definition and the handler that carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.principal import Action
from creneau_shared.security.role_table import OPERATIONS


@dataclass(frozen=True)
class OperationCall:
    """One invocation: on a type, or on an instance when `id` is given. `type` is None at system level."""

    service: FhirService
    request: FhirRequest
    type: str | None
    id: str | None
    definition: Resource
    """the OperationDefinition of what is invoked"""


@dataclass(frozen=True)
class Operation:
    """A FHIR operation: its OperationDefinition and the handler beside it (FHIR R4 operations.html)."""

    definition: Resource
    handler: Callable[[OperationCall], Awaitable[Answer]] = field(repr=False)
    secret: bool = False
    """whether what it takes or answers must be kept nowhere: it is carried out at once, never recorded"""
    at_once: bool = False
    """whether it is carried out at once whatever the client prefers: it has several transactions, and is no part of another"""
    later: bool = False
    """whether it is answered later whatever the client prefers (bulk data)"""
    keyed: bool = False
    """whether it is carried out once for each Idempotency-Key"""
    creates: bool = False
    """whether it answers 201 with what it has made"""
    more_media: tuple[str, ...] = ()
    """media types that its body may have beside FHIR's JSON and XML"""
    check: Callable[[OperationCall], object] | None = field(default=None, repr=False)
    """raises the refusals that are known before a call is recorded for later; `handler` checks them again"""

    @property
    def code(self) -> str:
        return str(self.definition["code"])

    @property
    def right(self) -> tuple[str, Action] | None:
        """The type and the action that the caller must be allowed; None if not known before the operation is carried out."""
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
