"""The trace of every access to personal data: narrow rows, written in the transaction of the access itself.

A row is served as a FHIR AuditEvent (`fhir.storage.audit_events`); it names subjects and resources, never what
they contain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import UUID

from creneau_shared.database.pool import Connection
from creneau_shared.ids import new_uuid
from creneau_shared.security.access import COMPARTMENT, Access

if TYPE_CHECKING:
    from creneau_shared.fhir.rest.exchange import FhirRequest

AUDIT_INSERT = (
    "INSERT INTO audit (id, recorded, action, agent, agent_level, resource_type, resource_id, version, correlation_id)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)


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
        Index("ix_audit_entity", "resource_type", "resource_id"),
        Index("ix_audit_recorded", "recorded"),
        Index("ix_audit_agent", "agent"),
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
        await connection.execute(
            AUDIT_INSERT,
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
