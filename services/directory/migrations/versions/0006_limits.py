"""Limits"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_bucket",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("units", sa.Double(), nullable=False),
        sa.Column("granted", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_bucket")),
        # What is counted is worth nothing after a crash.
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_rate_bucket_at"), "rate_bucket", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("rate_bucket")
