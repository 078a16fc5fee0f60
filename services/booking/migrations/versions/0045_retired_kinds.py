"""A kind of slots says since when no slot is of it"""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE slot_kind ADD COLUMN IF NOT EXISTS retired_at timestamptz")


def downgrade() -> None:
    op.drop_column("slot_kind", "retired_at")
