"""Superseded versions of slots are partitioned by the month in which they were superseded."""

from __future__ import annotations

from alembic import op

from creneau_shared.database.partitioning import Partitioned, join_together, partition

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SLOT_HISTORY = Partitioned(
    "slot_history",
    "superseded_at",
    "id, version, schedule_key",
    {"ix_slot_history_last_updated": "(last_updated)"},
)


def upgrade() -> None:
    op.execute(
        "ALTER TABLE slot_history ADD COLUMN IF NOT EXISTS superseded_at timestamptz NOT NULL DEFAULT now()"
    )
    partition(SLOT_HISTORY)


def downgrade() -> None:
    join_together(SLOT_HISTORY)
    op.drop_column("slot_history", "superseded_at")
