"""Agendas that software synchronises, and until when they are to be believed; what is published in bulk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0028"
branch_labels = None
depends_on = None

FRESH_UNTIL = (
    "CASE WHEN stale_after_s IS NULL THEN 'infinity'::timestamptz"
    " WHEN synchronised_at IS NULL THEN '-infinity'::timestamptz"
    " ELSE (synchronised_at AT TIME ZONE 'UTC' + stale_after_s * '1 second'::interval) AT TIME ZONE 'UTC' END"
)


def upgrade() -> None:
    op.add_column("agenda", sa.Column("synchronised_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agenda", sa.Column("stale_after_s", sa.Integer(), nullable=True))
    op.add_column(
        "agenda",
        sa.Column(
            "fresh_until",
            sa.DateTime(timezone=True),
            sa.Computed(FRESH_UNTIL, persisted=True),
            nullable=False,
        ),
    )
    op.create_table(
        "publication",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_publication"),
    )
    op.create_table(
        "sas_report",
        sa.Column("appointment_id", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reported_version", sa.Integer(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sending_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("begun", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("appointment_id", name="pk_sas_report"),
    )
    op.create_index("ix_sas_report_due_at", "sas_report", ["due_at"], unique=False)


def downgrade() -> None:
    op.drop_table("sas_report")
    op.drop_table("publication")
    for name in ("fresh_until", "stale_after_s", "synchronised_at"):
        op.drop_column("agenda", name)
