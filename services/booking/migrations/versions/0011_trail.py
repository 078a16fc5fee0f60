"""The trail says whose data came back, what was asked, why and with what outcome; three indexes instead of six"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ADDED = ("purpose", "issuer", "client", "who", "represented", "mandate", "asked")
INTERACTION = """CASE action WHEN 'C' THEN 'create' WHEN 'U' THEN 'update' WHEN 'D' THEN 'delete' WHEN 'E' THEN 'operation'
ELSE CASE WHEN resource_id IS NULL THEN 'search-type' ELSE 'read' END END"""
TERMS = """array_remove(ARRAY['altid=' || agent,
CASE WHEN resource_id IS NOT NULL THEN 'entity=' || resource_type || '/' || resource_id END,
CASE WHEN resource_type = 'Patient' AND resource_id IS NOT NULL THEN 'patient=Patient/' || resource_id END], NULL)"""
WORDS = """regexp_replace(regexp_replace(lower(normalize('rest ' || agent || ' ' || agent_level || ' ' || resource_type
|| ' ' || CASE action WHEN 'C' THEN 'create' WHEN 'U' THEN 'update' WHEN 'D' THEN 'delete' WHEN 'E' THEN 'operation'
ELSE CASE WHEN resource_id IS NULL THEN 'search type' ELSE 'read' END END, NFKD)),
U&'[\\0300-\\036F]+', '', 'g'), '[^[\\:alnum\\:]]+', ' ', 'g')::tsvector"""
ABOUT = """UPDATE audit SET terms = audit.terms || about.terms FROM (
SELECT '{type}' AS resource_type, id, ARRAY(SELECT DISTINCT 'patient=Patient/' || split_part(t.term, '=Patient/', 2)
FROM unnest(terms) AS t (term) WHERE t.term ~ '^({names})=Patient/') AS terms FROM {table}) AS about
WHERE audit.resource_type = about.resource_type AND audit.resource_id = about.id"""
"""Whom the resource that was read or written is about today."""
PERSONAL = {
    "Appointment": ("appointment", "patient"),
    "AppointmentResponse": ("appointment_response", "patient"),
    "RelatedPerson": ("related_person", "patient"),
}


def upgrade() -> None:
    for index in ("agent", "entity", "words"):
        op.drop_index(f"ix_audit_{index}", "audit")
    op.drop_column("audit", "words")
    op.drop_constraint("uq_audit_key", "audit")
    op.drop_column("audit", "key")
    op.alter_column("audit", "agent_level", new_column_name="role")
    op.add_column("audit", sa.Column("interaction", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("outcome", sa.Text(), server_default=sa.text("'0'"), nullable=False))
    op.add_column("audit", sa.Column("returned", sa.Integer(), nullable=True))
    for name in ADDED:
        op.add_column("audit", sa.Column(name, sa.Text(), nullable=True))
    terms = sa.Column(
        "terms", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False
    )
    op.add_column("audit", terms)
    op.execute(f"UPDATE audit SET interaction = {INTERACTION}, terms = {TERMS}")
    for kind, (table, names) in PERSONAL.items():
        op.execute(ABOUT.format(type=kind, table=table, names=names))
    op.alter_column("audit", "interaction", nullable=False)
    op.create_index(
        "ix_audit_terms",
        "audit",
        ["terms"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 1024},
    )


def downgrade() -> None:
    op.drop_index("ix_audit_terms", "audit")
    for name in ("interaction", "outcome", "returned", "terms", *ADDED):
        op.drop_column("audit", name)
    op.alter_column("audit", "role", new_column_name="agent_level")
    op.add_column("audit", sa.Column("key", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_unique_constraint("uq_audit_key", "audit", ["key"])
    op.add_column("audit", sa.Column("words", TSVECTOR(), sa.Computed(WORDS, persisted=True)))
    op.create_index("ix_audit_agent", "audit", ["agent"])
    op.create_index("ix_audit_entity", "audit", ["resource_type", "resource_id"])
    op.create_index(
        "ix_audit_words",
        "audit",
        ["words"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 1024},
    )
