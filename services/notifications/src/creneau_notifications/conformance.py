"""What notifications contributes to /metadata."""

from __future__ import annotations

from creneau_shared.fhir.rest.declaration import READ_AND_SEARCH, READ_ONLY, ServedType
from creneau_shared.fhir.storage.audit_events import AuditEventStore
from creneau_shared.fhir.storage.generic import GenericStore


def served_types(base_url: str) -> list[ServedType]:
    """The types that notifications serves."""
    return [
        ServedType(
            GenericStore("Communication", base_url),
            interactions=READ_ONLY,
            documentation="What has been told to whom, by which way, and what is still to be told. Read only: "
            "messages come from what happens to appointments.",
        ),
        ServedType(
            AuditEventStore("creneau-notifications"),
            interactions=READ_AND_SEARCH,
            documentation="Who read which messages, and when. For user and system scopes.",
        ),
    ]
