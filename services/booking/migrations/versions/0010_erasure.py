"""Who was erased; about whom superseded versions are; reports on what retention removed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_resource_history_compartment",
        "resource_history",
        ["compartment"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_table(
        "erased_patient",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("receipt", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erased_patient")),
    )
    op.create_index(
        "ix_erased_patient_unsealed",
        "erased_patient",
        ["erased_at"],
        unique=False,
        postgresql_where=sa.text("sealed_at IS NULL"),
    )
    op.create_table(
        "retention_report",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("data_class", sa.Text(), nullable=False),
        sa.Column("setting", sa.Text(), nullable=False),
        sa.Column("kept_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", "data_class", name=op.f("pk_retention_report")),
    )


def downgrade() -> None:
    op.drop_table("retention_report")
    op.drop_table("erased_patient")
    op.drop_index("ix_resource_history_compartment", table_name="resource_history")
