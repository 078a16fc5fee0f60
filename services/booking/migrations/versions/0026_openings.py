"""Agendas stated by rules: which slots were made from them, which agendas are due, and what was closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSTZRANGE

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE slot ADD COLUMN generated boolean")
    op.create_table(
        "agenda_opening",
        sa.Column("schedule_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("schedule_key", name="pk_agenda_opening"),
    )
    op.create_index("ix_agenda_opening_due_at", "agenda_opening", ["due_at"])
    op.create_table(
        "agenda_closure",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("schedule_key", sa.BigInteger(), nullable=False),
        sa.Column("period", TSTZRANGE(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agenda_closure"),
    )
    op.create_index("ix_agenda_closure_schedule_key", "agenda_closure", ["schedule_key"])
    op.create_table(
        "opening_left_out",
        sa.Column("schedule_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("schedule_key", "start", "end", name="pk_opening_left_out"),
    )


def downgrade() -> None:
    op.drop_table("opening_left_out")
    op.drop_table("agenda_closure")
    op.drop_table("agenda_opening")
    op.execute("ALTER TABLE slot DROP COLUMN generated")
