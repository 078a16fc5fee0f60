"""The trace of every access to personal data: narrow rows, written in the transaction of the access itself.

A row is served as a FHIR AuditEvent (`fhir.storage.audit_events`); it names subjects and resources, never what
they contain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import TSVECTOR, UUID

from creneau_shared.database.closing import ClosingInsert
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.tables import words_index
from creneau_shared.ids import new_uuid
from creneau_shared.security.access import COMPARTMENT, Access

if TYPE_CHECKING:
    from creneau_shared.fhir.rest.exchange import FhirRequest

AUDIT_INSERT = ClosingInsert(
    "audit",
    (
        "id",
        "recorded",
        "action",
        "agent",
        "agent_level",
        "resource_type",
        "resource_id",
        "version",
        "correlation_id",
    ),
    ("uuid", "timestamptz", "text", "text", "text", "text", "text", "integer", "text"),
)

WORDS = """regexp_replace(regexp_replace(lower(normalize('rest ' || agent || ' ' || agent_level || ' ' || resource_type
|| ' ' || CASE action WHEN 'C' THEN 'create' WHEN 'U' THEN 'update' WHEN 'D' THEN 'delete' WHEN 'E' THEN 'operation'
ELSE CASE WHEN resource_id IS NULL THEN 'search type' ELSE 'read' END END, NFKD)),
U&'[\\0300-\\036F]+', '', 'g'), '[^[:alnum:]]+', ' ', 'g')::tsvector"""
"""What `_content` finds an AuditEvent by, in no order: who, what kind of thing, and what was done to it. PostgreSQL writes
it, so that a trace costs no more here; correlation ids are left out, as each would be an index entry of its own.

Without a text search configuration, whose parser would take `1e5b` for a number and a letter.
"""


def audit_table(metadata: MetaData) -> Table:
    """`audit`: who did what (C, R, U, D, E as in AuditEvent.action) to which version of which resource, and when."""
    return Table(
        "audit",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("key", BigInteger, Identity(always=True), nullable=False, unique=True),
        Column("recorded", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("action", Text, nullable=False),
        Column("agent", Text, nullable=False),
        Column("agent_level", Text, nullable=False),
        Column("resource_type", Text, nullable=False),
        Column("resource_id", Text(collation="C"), nullable=True),
        Column("version", Integer, nullable=True),
        Column("correlation_id", Text, nullable=True),
        Column("words", TSVECTOR, Computed(WORDS, persisted=True)),
        Index("ix_audit_entity", "resource_type", "resource_id"),
        Index("ix_audit_recorded", "recorded"),
        Index("ix_audit_agent", "agent"),
        words_index("audit"),
    )


def agent_level(access: Access) -> str:
    """`patient` when the access is limited to a compartment, else `user`."""
    return "user" if access.patient_ids is None else "patient"


class Auditor:
    """Records accesses to the types of the patient compartment; public types leave no trace."""

    async def record(
        self,
        connection: Connection,
        request: FhirRequest,
        access: Access,
        action: str,
        resource_type: str,
        resource_id: str | None,
        version: int | None,
    ) -> None:
        if resource_type not in COMPARTMENT:
            return
        row = (
            new_uuid(),
            request.now,
            action,
            request.principal.subject,
            agent_level(access),
            resource_type,
            resource_id,
            version,
            request.correlation_id,
        )
        await AUDIT_INSERT.run(connection, [row])
