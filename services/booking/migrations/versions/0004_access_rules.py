"""The practices' rules on online booking; how often a hold was extended; the end of a hold in a replayed answer"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agenda_rules",
        sa.Column("schedule_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("minimum_notice_min", sa.Integer(), nullable=True),
        sa.Column("window_days", sa.Integer(), nullable=True),
        sa.Column("opens_at", sa.Time(), nullable=True),
        sa.Column("age_from_months", sa.Integer(), nullable=True),
        sa.Column("age_below_months", sa.Integer(), nullable=True),
        sa.Column("appointments_max", sa.Integer(), nullable=True),
        sa.Column("change_deadline_min", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("schedule_key", name=op.f("pk_agenda_rules")),
    )
    op.add_column("hold", sa.Column("extensions", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("idempotency", sa.Column("expires", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency", "expires")
    op.drop_column("hold", "extensions")
    op.drop_table("agenda_rules")
