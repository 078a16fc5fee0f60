"""Serves a service's trail: to a Patient what concerns them and nobody else, to a practice what was done for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Forbidden
from creneau_shared.fhir.rest.declaration import READ_AND_SEARCH, Pairs, ServedType
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.request import (
    And,
    Clause,
    Condition,
    Not,
    Or,
    ReferenceValue,
    SearchRequest,
)
from creneau_shared.fhir.search.sql import SearchTable
from creneau_shared.fhir.storage.audit_events import AuditEventStore, NameOf, as_seen_by
from creneau_shared.security.access import Access

ASKED_BY_PATIENTS = frozenset(
    {"_id", "_lastUpdated", "action", "agent", "agent-role", "date", "outcome", "subtype", "type"}
)
"""Parameters by which a Patient may search the trail, beside \"patient\". One interaction may have returned several
people's data: a search by what else it touched would tell one of them of the others. An account's name is its own."""


class TrailPolicy:
    """Limits a Patient's search of the trail."""

    def narrow(self, access: Access, pairs: Pairs) -> Pairs:
        return pairs

    def check(self, access: Access, wanted: SearchRequest) -> None:
        """Forbidden when a Patient searches by anything but themselves and `ASKED_BY_PATIENTS`."""
        patients = _themselves(access)
        if patients is None:
            return
        own = {f"Patient/{id_}" for id_ in patients}
        for condition in _flat(wanted.conditions):
            if not _is_theirs(condition, own):
                raise Forbidden(
                    "Cherchez dans la trace de vos données par patient (vous), date, action, agent ou outcome.",
                    "Search the trail of your data by patient (yourself), date, action, agent or outcome.",
                    expression="AuditEvent",
                    details_code="trail-search",
                )

    async def table(
        self, connection: Connection, access: Access, request: FhirRequest, wanted: SearchRequest
    ) -> SearchTable | None:
        return None

    def leaves_nothing_to_complete(self, wanted: SearchRequest) -> bool:
        return True


def _is_theirs(condition: Condition, own: set[str]) -> bool:
    if not isinstance(condition, Clause):
        return False
    if condition.parameter.name == "patient":
        named = [r for v in condition.values if isinstance(v, ReferenceValue) for r in v.references]
        return bool(named) and own.issuperset(named)
    return condition.parameter.name in ASKED_BY_PATIENTS and condition.modifier != "identifier"


def _flat(conditions: Iterable[Condition]) -> Iterator[Condition]:
    """Yields the conditions; those that a `_filter` joins, one by one."""
    for condition in conditions:
        if isinstance(condition, And | Or):
            yield from _flat(condition.conditions)
        elif isinstance(condition, Not):
            yield from _flat((condition.condition,))
        else:
            yield condition


def shown(access: Access, content: bytes) -> bytes:
    """The AuditEvent as the caller may see it."""
    patients = _themselves(access)
    return content if patients is None else as_seen_by(patients, content)


def _themselves(access: Access) -> frozenset[str] | None:
    """The ids of the Patients whose trail the caller reads: the caller's own, none whom they represent. None: the caller
    does not read it as a Patient."""
    return None if access.patient_ids is None else access.patient_ids & access.rights.oneself


def served_trail(source: str, name_of: NameOf, documentation: str) -> ServedType:
    """AuditEvent as a service serves it."""
    return ServedType(
        AuditEventStore(source, name_of),
        interactions=READ_AND_SEARCH,
        search_policy=TrailPolicy(),
        shown=shown,
        documentation=f"{documentation} Patients see what concerns them, practices what was done for them.",
    )
