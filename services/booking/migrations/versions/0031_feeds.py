"""Agendas that software synchronises, and until when they are to be believed; what is published in bulk; what the SAS platform
was told; calendars elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
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
    op.create_table(
        "calendar_feed",
        sa.Column("schedule", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("schedule", name="pk_calendar_feed"),
        sa.UniqueConstraint("digest", name="uq_calendar_feed_digest"),
    )
    op.create_table(
        "external_calendar",
        sa.Column("schedule", sa.Text(collation="C"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("schedule", name="pk_external_calendar"),
    )
    op.create_index("ix_external_calendar_due_at", "external_calendar", ["due_at"], unique=False)


def downgrade() -> None:
    op.execute("DELETE FROM occupancy WHERE starts_with(appointment_id, 'calendar:')")
    op.drop_table("external_calendar")
    op.drop_table("calendar_feed")
    op.drop_table("sas_report")
    op.drop_table("publication")
    for name in ("fresh_until", "stale_after_s", "synchronised_at"):
        op.drop_column("agenda", name)
