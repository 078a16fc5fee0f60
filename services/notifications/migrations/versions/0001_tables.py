"""The tables of notifications.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from creneau_shared.fhir.storage.tables import SEARCH_EXTENSIONS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for extension in SEARCH_EXTENSIONS:
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    op.create_table(
        "appointment_state",
        sa.Column("appointment", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.Text(collation="C"), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("appointment", name=op.f("pk_appointment_state")),
        comment="What each appointment's messages tell of: an event whose version is not greater has no effect.",
    )
    op.create_index("ix_appointment_state_ends_at", "appointment_state", ["ends_at"], unique=False)
    op.create_index(
        "ix_appointment_state_recipient", "appointment_state", ["recipient", "ends_at"], unique=False
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("agent_level", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(collation="C"), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("key", name=op.f("uq_audit_key")),
    )
    op.create_index("ix_audit_agent", "audit", ["agent"], unique=False)
    op.create_index("ix_audit_entity", "audit", ["resource_type", "resource_id"], unique=False)
    op.create_index("ix_audit_recorded", "audit", ["recorded"], unique=False)
    op.create_table(
        "communication",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_communication_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_communication")),
        sa.UniqueConstraint("key", name=op.f("uq_communication_key")),
    )
    op.create_index("ix_communication_last_updated", "communication", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_communication_terms",
        "communication",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "communication_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_communication_date_high", "communication_date", ["parameter", "high", "key"], unique=False
    )
    op.create_index(op.f("ix_communication_date_key"), "communication_date", ["key"], unique=False)
    op.create_index(
        "ix_communication_date_low", "communication_date", ["parameter", "low", "key"], unique=False
    )
    op.create_table(
        "communication_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_communication_string_key"), "communication_string", ["key"], unique=False)
    op.create_index(
        "ix_communication_string_trigram",
        "communication_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_communication_string_value",
        "communication_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "directory_fact",
        sa.Column("reference", sa.Text(collation="C"), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("address", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("practitioner", sa.Text(), nullable=True),
        sa.Column("locations", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_directory_fact")),
        comment="Replica of what messages say of professionals and places, fed by the directory's events.",
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0.0",
            "autovacuum_vacuum_threshold": "2000",
            "autovacuum_vacuum_insert_scale_factor": "0.0",
            "autovacuum_vacuum_insert_threshold": "50000",
            "autovacuum_analyze_scale_factor": "0.0",
            "autovacuum_analyze_threshold": "20000",
            "autovacuum_vacuum_cost_delay": "0",
        },
    )
    op.create_index("ix_inbox_handled_at", "inbox", ["handled_at"], unique=False, postgresql_using="brin")
    op.create_table(
        "inbox_log",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "topic", "partition", name=op.f("pk_inbox_log")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("appointment", sa.Text(collation="C"), nullable=False),
        sa.Column("recipient", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'planned'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("event", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'sending') = (lease_until IS NOT NULL)", name=op.f("ck_message_lease")),
        sa.CheckConstraint(
            "(status IN ('planned', 'sending')) = (finished_at IS NULL)", name=op.f("ck_message_finished")
        ),
        sa.CheckConstraint(
            "status IN ('planned', 'sending', 'sent', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_message_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        comment="What is to be told, to whom, by which way and by when, and what became of it.",
        postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_index("ix_message_appointment", "message", ["appointment"], unique=False)
    op.create_index(
        "ix_message_due",
        "message",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'planned'"),
    )
    op.create_index(
        "ix_message_finished_at",
        "message",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_message_lease",
        "message",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status = 'sending'"),
    )
    op.create_index("ix_message_recipient", "message", ["recipient"], unique=False)
    op.create_table(
        "recipient",
        sa.Column("reference", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_recipient")),
        comment="Replica of the contacts: how each recipient is reached. No other table names a person.",
    )
    op.create_table(
        "resource_history",
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("resource_type", "id", "version", name=op.f("pk_resource_history")),
    )
    op.create_index(
        "ix_resource_history_time", "resource_history", ["resource_type", "last_updated"], unique=False
    )
    op.create_table(
        "attempt",
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("message", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "result IN ('accepted', 'deferred', 'refused', 'interrupted')", name=op.f("ck_attempt_result")
        ),
        sa.CheckConstraint("length(error) <= 2048", name=op.f("ck_attempt_error")),
        sa.ForeignKeyConstraint(
            ["message"], ["message.id"], name=op.f("fk_attempt_message"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt")),
        comment="One row for each try of a message; message_id is the e-mail's Message-ID.",
    )
    op.create_index(op.f("ix_attempt_message"), "attempt", ["message"], unique=False)


def downgrade() -> None:
    for table in (
        "attempt",
        "resource_history",
        "recipient",
        "message",
        "inbox_log",
        "inbox",
        "directory_fact",
        "communication_string",
        "communication_date",
        "communication",
        "audit",
        "appointment_state",
    ):
        op.drop_table(table)
