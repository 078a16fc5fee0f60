"""Begin"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute("CREATE EXTENSION IF NOT EXISTS cube")
    op.execute("CREATE EXTENSION IF NOT EXISTS earthdistance")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    slot_status = postgresql.ENUM(
        "free", "busy", "busy-unavailable", "busy-tentative", "entered-in-error", name="slot_status"
    )
    slot_status.create(op.get_bind())
    op.create_table(
        "appointment",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_appointment_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
        sa.UniqueConstraint("key", name=op.f("uq_appointment_key")),
    )
    op.create_index("ix_appointment_last_updated", "appointment", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_appointment_terms",
        "appointment",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "appointment_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_appointment_date_high", "appointment_date", ["parameter", "high", "key"], unique=False
    )
    op.create_index(op.f("ix_appointment_date_key"), "appointment_date", ["key"], unique=False)
    op.create_index("ix_appointment_date_low", "appointment_date", ["parameter", "low", "key"], unique=False)
    op.create_table(
        "appointment_number",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=False),
    )
    op.create_index(op.f("ix_appointment_number_key"), "appointment_number", ["key"], unique=False)
    op.create_index(
        "ix_appointment_number_value", "appointment_number", ["parameter", "value", "key"], unique=False
    )
    op.create_table(
        "appointment_response",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_appointment_response_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment_response")),
        sa.UniqueConstraint("key", name=op.f("uq_appointment_response_key")),
    )
    op.create_index(
        "ix_appointment_response_last_updated", "appointment_response", ["last_updated", "key"], unique=False
    )
    op.create_index(
        "ix_appointment_response_terms",
        "appointment_response",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "appointment_response_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(
        op.f("ix_appointment_response_string_key"), "appointment_response_string", ["key"], unique=False
    )
    op.create_index(
        "ix_appointment_response_string_trigram",
        "appointment_response_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_appointment_response_string_value",
        "appointment_response_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "appointment_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_appointment_string_key"), "appointment_string", ["key"], unique=False)
    op.create_index(
        "ix_appointment_string_trigram",
        "appointment_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_appointment_string_value",
        "appointment_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
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
        "endpoint",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_endpoint_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint")),
        sa.UniqueConstraint("key", name=op.f("uq_endpoint_key")),
    )
    op.create_index("ix_endpoint_last_updated", "endpoint", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_endpoint_terms",
        "endpoint",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "endpoint_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_endpoint_string_key"), "endpoint_string", ["key"], unique=False)
    op.create_index(
        "ix_endpoint_string_trigram",
        "endpoint_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_endpoint_string_value",
        "endpoint_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "healthcare_service",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_healthcare_service_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_healthcare_service")),
        sa.UniqueConstraint("key", name=op.f("uq_healthcare_service_key")),
    )
    op.create_index(
        "ix_healthcare_service_last_updated", "healthcare_service", ["last_updated", "key"], unique=False
    )
    op.create_index(
        "ix_healthcare_service_terms",
        "healthcare_service",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "healthcare_service_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(
        op.f("ix_healthcare_service_string_key"), "healthcare_service_string", ["key"], unique=False
    )
    op.create_index(
        "ix_healthcare_service_string_trigram",
        "healthcare_service_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_healthcare_service_string_value",
        "healthcare_service_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "hold",
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_expires_at"), "hold", ["expires_at"], unique=False)
    op.create_index(op.f("ix_hold_subject"), "hold", ["subject"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("subject", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"], unique=False)
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
        "location",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_location_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("key", name=op.f("uq_location_key")),
    )
    op.create_index("ix_location_last_updated", "location", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_location_position",
        "location",
        [sa.literal_column("ll_to_earth(latitude, longitude)")],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text("latitude IS NOT NULL"),
    )
    op.create_index(
        "ix_location_terms",
        "location",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "location_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_location_string_key"), "location_string", ["key"], unique=False)
    op.create_index(
        "ix_location_string_trigram",
        "location_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_location_string_value",
        "location_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "occupancy",
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("actor", sa.Text(collation="C"), nullable=False),
        sa.Column("period", postgresql.TSTZRANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("actor"), "="), (sa.column("period"), "&&"), using="gist", name="ex_occupancy"
        ),
    )
    op.create_index(op.f("ix_occupancy_appointment_id"), "occupancy", ["appointment_id"], unique=False)
    op.create_table(
        "organization",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_organization_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization")),
        sa.UniqueConstraint("key", name=op.f("uq_organization_key")),
    )
    op.create_index("ix_organization_last_updated", "organization", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_organization_terms",
        "organization",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "organization_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_organization_string_key"), "organization_string", ["key"], unique=False)
    op.create_index(
        "ix_organization_string_trigram",
        "organization_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_organization_string_value",
        "organization_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("partition", sa.Integer(), nullable=True),
        sa.Column("log_offset", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0.0",
            "autovacuum_vacuum_threshold": "2000",
            "autovacuum_vacuum_insert_scale_factor": "0.0",
            "autovacuum_vacuum_insert_threshold": "50000",
            "autovacuum_analyze_scale_factor": "0.0",
            "autovacuum_analyze_threshold": "20000",
            "autovacuum_vacuum_cost_delay": "0",
            "fillfactor": "80",
        },
    )
    op.create_index("ix_outbox_key", "outbox", ["topic", "key", "position"], unique=False)
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["position"],
        unique=False,
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "outbox_log",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_outbox_log")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "patient",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_patient_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("key", name=op.f("uq_patient_key")),
    )
    op.create_index("ix_patient_last_updated", "patient", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_patient_terms",
        "patient",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "patient_account",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", "patient_id", name=op.f("pk_patient_account")),
    )
    op.create_table(
        "patient_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_patient_date_high", "patient_date", ["parameter", "high", "key"], unique=False)
    op.create_index(op.f("ix_patient_date_key"), "patient_date", ["key"], unique=False)
    op.create_index("ix_patient_date_low", "patient_date", ["parameter", "low", "key"], unique=False)
    op.create_table(
        "patient_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_patient_string_key"), "patient_string", ["key"], unique=False)
    op.create_index(
        "ix_patient_string_trigram",
        "patient_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_patient_string_value",
        "patient_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "practitioner",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_practitioner_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practitioner")),
        sa.UniqueConstraint("key", name=op.f("uq_practitioner_key")),
    )
    op.create_index("ix_practitioner_last_updated", "practitioner", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_practitioner_terms",
        "practitioner",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "practitioner_role",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_practitioner_role_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practitioner_role")),
        sa.UniqueConstraint("key", name=op.f("uq_practitioner_role_key")),
    )
    op.create_index(
        "ix_practitioner_role_last_updated", "practitioner_role", ["last_updated", "key"], unique=False
    )
    op.create_index(
        "ix_practitioner_role_terms",
        "practitioner_role",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "practitioner_role_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_practitioner_role_date_high", "practitioner_role_date", ["parameter", "high", "key"], unique=False
    )
    op.create_index(op.f("ix_practitioner_role_date_key"), "practitioner_role_date", ["key"], unique=False)
    op.create_index(
        "ix_practitioner_role_date_low", "practitioner_role_date", ["parameter", "low", "key"], unique=False
    )
    op.create_table(
        "practitioner_role_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(
        op.f("ix_practitioner_role_string_key"), "practitioner_role_string", ["key"], unique=False
    )
    op.create_index(
        "ix_practitioner_role_string_trigram",
        "practitioner_role_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_practitioner_role_string_value",
        "practitioner_role_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "practitioner_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_practitioner_string_key"), "practitioner_string", ["key"], unique=False)
    op.create_index(
        "ix_practitioner_string_trigram",
        "practitioner_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_practitioner_string_value",
        "practitioner_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "related_person",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_related_person_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_related_person")),
        sa.UniqueConstraint("key", name=op.f("uq_related_person_key")),
    )
    op.create_index("ix_related_person_last_updated", "related_person", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_related_person_terms",
        "related_person",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "related_person_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_related_person_date_high", "related_person_date", ["parameter", "high", "key"], unique=False
    )
    op.create_index(op.f("ix_related_person_date_key"), "related_person_date", ["key"], unique=False)
    op.create_index(
        "ix_related_person_date_low", "related_person_date", ["parameter", "low", "key"], unique=False
    )
    op.create_table(
        "related_person_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_related_person_string_key"), "related_person_string", ["key"], unique=False)
    op.create_index(
        "ix_related_person_string_trigram",
        "related_person_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_related_person_string_value",
        "related_person_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
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
        "schedule",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("deleted = (content IS NULL)", name=op.f("ck_schedule_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("key", name=op.f("uq_schedule_key")),
    )
    op.create_index("ix_schedule_last_updated", "schedule", ["last_updated", "key"], unique=False)
    op.create_index(
        "ix_schedule_terms",
        "schedule",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "schedule_date",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("low", sa.DateTime(timezone=True), nullable=False),
        sa.Column("high", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_schedule_date_high", "schedule_date", ["parameter", "high", "key"], unique=False)
    op.create_index(op.f("ix_schedule_date_key"), "schedule_date", ["key"], unique=False)
    op.create_index("ix_schedule_date_low", "schedule_date", ["parameter", "low", "key"], unique=False)
    op.create_table(
        "schedule_string",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parameter", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
    )
    op.create_index(op.f("ix_schedule_string_key"), "schedule_string", ["key"], unique=False)
    op.create_index(
        "ix_schedule_string_trigram",
        "schedule_string",
        ["value"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index(
        "ix_schedule_string_value",
        "schedule_string",
        ["parameter", sa.literal_column("left(value, 64)"), "key"],
        unique=False,
    )
    op.create_table(
        "slot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("schedule_key", sa.BigInteger(), nullable=False),
        sa.Column("kind_key", sa.BigInteger(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", postgresql.ENUM(name="slot_status", create_type=False), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=True),
        sa.Column("extra", sa.Text(), nullable=True),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), nullable=True),
        sa.CheckConstraint('"end" > start', name=op.f("ck_slot_order")),
        sa.PrimaryKeyConstraint("id", "start", name=op.f("pk_slot")),
        postgresql_partition_by="RANGE (start)",
    )
    op.create_index("ix_slot_end", "slot", ["end"], unique=False, postgresql_using="brin")
    op.create_index("ix_slot_last_updated", "slot", ["last_updated"], unique=False, postgresql_using="brin")
    op.create_index("ix_slot_schedule_start", "slot", ["schedule_key", "start"], unique=False)
    op.create_index("ix_slot_status_start", "slot", ["status", "start"], unique=False)
    op.create_index(
        "ix_slot_terms",
        "slot",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("terms IS NOT NULL"),
    )
    op.create_table(
        "slot_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind_key", sa.BigInteger(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", postgresql.ENUM(name="slot_status", create_type=False), nullable=True),
        sa.Column("name", sa.Text(collation="C"), nullable=True),
        sa.Column("extra", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_slot_history")),
    )
    op.create_index("ix_slot_history_last_updated", "slot_history", ["last_updated"], unique=False)
    op.create_table(
        "slot_kind",
        sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("schedule_key", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("meta", sa.Text(), nullable=False),
        sa.Column("terms", sa.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_slot_kind")),
        sa.UniqueConstraint("schedule_key", "digest", name=op.f("uq_slot_kind_schedule_key_digest")),
    )
    op.create_index("ix_slot_kind_terms", "slot_kind", ["terms"], unique=False, postgresql_using="gin")

    op.execute("CREATE TABLE slot_default PARTITION OF slot DEFAULT")


def downgrade() -> None:
    op.drop_index("ix_slot_kind_terms", table_name="slot_kind", postgresql_using="gin")
    op.drop_table("slot_kind")
    op.drop_index("ix_slot_history_last_updated", table_name="slot_history")
    op.drop_table("slot_history")
    op.drop_index(
        "ix_slot_terms",
        table_name="slot",
        postgresql_using="gin",
        postgresql_where=sa.text("terms IS NOT NULL"),
    )
    op.drop_index("ix_slot_status_start", table_name="slot")
    op.drop_index("ix_slot_schedule_start", table_name="slot")
    op.drop_index("ix_slot_last_updated", table_name="slot", postgresql_using="brin")
    op.drop_index("ix_slot_end", table_name="slot", postgresql_using="brin")
    op.drop_table("slot")
    op.drop_index("ix_schedule_string_value", table_name="schedule_string")
    op.drop_index(
        "ix_schedule_string_trigram",
        table_name="schedule_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_schedule_string_key"), table_name="schedule_string")
    op.drop_table("schedule_string")
    op.drop_index("ix_schedule_date_low", table_name="schedule_date")
    op.drop_index(op.f("ix_schedule_date_key"), table_name="schedule_date")
    op.drop_index("ix_schedule_date_high", table_name="schedule_date")
    op.drop_table("schedule_date")
    op.drop_index(
        "ix_schedule_terms",
        table_name="schedule",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_schedule_last_updated", table_name="schedule")
    op.drop_table("schedule")
    op.drop_index("ix_resource_history_time", table_name="resource_history")
    op.drop_table("resource_history")
    op.drop_index("ix_related_person_string_value", table_name="related_person_string")
    op.drop_index(
        "ix_related_person_string_trigram",
        table_name="related_person_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_related_person_string_key"), table_name="related_person_string")
    op.drop_table("related_person_string")
    op.drop_index("ix_related_person_date_low", table_name="related_person_date")
    op.drop_index(op.f("ix_related_person_date_key"), table_name="related_person_date")
    op.drop_index("ix_related_person_date_high", table_name="related_person_date")
    op.drop_table("related_person_date")
    op.drop_index(
        "ix_related_person_terms",
        table_name="related_person",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_related_person_last_updated", table_name="related_person")
    op.drop_table("related_person")
    op.drop_index("ix_practitioner_string_value", table_name="practitioner_string")
    op.drop_index(
        "ix_practitioner_string_trigram",
        table_name="practitioner_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_practitioner_string_key"), table_name="practitioner_string")
    op.drop_table("practitioner_string")
    op.drop_index("ix_practitioner_role_string_value", table_name="practitioner_role_string")
    op.drop_index(
        "ix_practitioner_role_string_trigram",
        table_name="practitioner_role_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_practitioner_role_string_key"), table_name="practitioner_role_string")
    op.drop_table("practitioner_role_string")
    op.drop_index("ix_practitioner_role_date_low", table_name="practitioner_role_date")
    op.drop_index(op.f("ix_practitioner_role_date_key"), table_name="practitioner_role_date")
    op.drop_index("ix_practitioner_role_date_high", table_name="practitioner_role_date")
    op.drop_table("practitioner_role_date")
    op.drop_index(
        "ix_practitioner_role_terms",
        table_name="practitioner_role",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_practitioner_role_last_updated", table_name="practitioner_role")
    op.drop_table("practitioner_role")
    op.drop_index(
        "ix_practitioner_terms",
        table_name="practitioner",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_practitioner_last_updated", table_name="practitioner")
    op.drop_table("practitioner")
    op.drop_index("ix_patient_string_value", table_name="patient_string")
    op.drop_index(
        "ix_patient_string_trigram",
        table_name="patient_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_patient_string_key"), table_name="patient_string")
    op.drop_table("patient_string")
    op.drop_index("ix_patient_date_low", table_name="patient_date")
    op.drop_index(op.f("ix_patient_date_key"), table_name="patient_date")
    op.drop_index("ix_patient_date_high", table_name="patient_date")
    op.drop_table("patient_date")
    op.drop_table("patient_account")
    op.drop_index(
        "ix_patient_terms",
        table_name="patient",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_patient_last_updated", table_name="patient")
    op.drop_table("patient")
    op.drop_table("outbox_log")
    op.drop_index(
        "ix_outbox_unpublished", table_name="outbox", postgresql_where=sa.text("published_at IS NULL")
    )
    op.drop_index("ix_outbox_key", table_name="outbox")
    op.drop_table("outbox")
    op.drop_index("ix_organization_string_value", table_name="organization_string")
    op.drop_index(
        "ix_organization_string_trigram",
        table_name="organization_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_organization_string_key"), table_name="organization_string")
    op.drop_table("organization_string")
    op.drop_index(
        "ix_organization_terms",
        table_name="organization",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_organization_last_updated", table_name="organization")
    op.drop_table("organization")
    op.drop_index(op.f("ix_occupancy_appointment_id"), table_name="occupancy")
    op.drop_table("occupancy")
    op.drop_index("ix_location_string_value", table_name="location_string")
    op.drop_index(
        "ix_location_string_trigram",
        table_name="location_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_location_string_key"), table_name="location_string")
    op.drop_table("location_string")
    op.drop_index(
        "ix_location_terms",
        table_name="location",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(
        "ix_location_position",
        table_name="location",
        postgresql_using="gist",
        postgresql_where=sa.text("latitude IS NOT NULL"),
    )
    op.drop_index("ix_location_last_updated", table_name="location")
    op.drop_table("location")
    op.drop_table("inbox_log")
    op.drop_index("ix_inbox_handled_at", table_name="inbox", postgresql_using="brin")
    op.drop_table("inbox")
    op.drop_index("ix_idempotency_created_at", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(op.f("ix_hold_subject"), table_name="hold")
    op.drop_index(op.f("ix_hold_expires_at"), table_name="hold")
    op.drop_table("hold")
    op.drop_index("ix_healthcare_service_string_value", table_name="healthcare_service_string")
    op.drop_index(
        "ix_healthcare_service_string_trigram",
        table_name="healthcare_service_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_healthcare_service_string_key"), table_name="healthcare_service_string")
    op.drop_table("healthcare_service_string")
    op.drop_index(
        "ix_healthcare_service_terms",
        table_name="healthcare_service",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_healthcare_service_last_updated", table_name="healthcare_service")
    op.drop_table("healthcare_service")
    op.drop_index("ix_endpoint_string_value", table_name="endpoint_string")
    op.drop_index(
        "ix_endpoint_string_trigram",
        table_name="endpoint_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_endpoint_string_key"), table_name="endpoint_string")
    op.drop_table("endpoint_string")
    op.drop_index(
        "ix_endpoint_terms",
        table_name="endpoint",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_endpoint_last_updated", table_name="endpoint")
    op.drop_table("endpoint")
    op.drop_index("ix_audit_recorded", table_name="audit")
    op.drop_index("ix_audit_entity", table_name="audit")
    op.drop_index("ix_audit_agent", table_name="audit")
    op.drop_table("audit")
    op.drop_index("ix_appointment_string_value", table_name="appointment_string")
    op.drop_index(
        "ix_appointment_string_trigram",
        table_name="appointment_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_appointment_string_key"), table_name="appointment_string")
    op.drop_table("appointment_string")
    op.drop_index("ix_appointment_response_string_value", table_name="appointment_response_string")
    op.drop_index(
        "ix_appointment_response_string_trigram",
        table_name="appointment_response_string",
        postgresql_using="gin",
        postgresql_ops={"value": "gin_trgm_ops"},
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index(op.f("ix_appointment_response_string_key"), table_name="appointment_response_string")
    op.drop_table("appointment_response_string")
    op.drop_index(
        "ix_appointment_response_terms",
        table_name="appointment_response",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_appointment_response_last_updated", table_name="appointment_response")
    op.drop_table("appointment_response")
    op.drop_index("ix_appointment_number_value", table_name="appointment_number")
    op.drop_index(op.f("ix_appointment_number_key"), table_name="appointment_number")
    op.drop_table("appointment_number")
    op.drop_index("ix_appointment_date_low", table_name="appointment_date")
    op.drop_index(op.f("ix_appointment_date_key"), table_name="appointment_date")
    op.drop_index("ix_appointment_date_high", table_name="appointment_date")
    op.drop_table("appointment_date")
    op.drop_index(
        "ix_appointment_terms",
        table_name="appointment",
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.drop_index("ix_appointment_last_updated", table_name="appointment")
    op.drop_table("appointment")
    op.execute("DROP TYPE slot_status")
