"""Agendas that software synchronises: when it last did, and until when that is to be believed."""

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
            "fresh_until", sa.DateTime(timezone=True), sa.Computed(FRESH_UNTIL, persisted=True), nullable=False
        ),
    )


def downgrade() -> None:
    for name in ("fresh_until", "stale_after_s", "synchronised_at"):
        op.drop_column("agenda", name)
