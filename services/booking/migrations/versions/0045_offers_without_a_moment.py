"""When a time was offered, which nobody reads, need not be written any more"""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # For processes of the version before, which still write it, the column stays until a later release.
    op.execute("ALTER TABLE waiting_offer ALTER COLUMN offered_at DROP NOT NULL")


def downgrade() -> None:
    op.execute("UPDATE waiting_offer SET offered_at = now() WHERE offered_at IS NULL")
    op.execute("ALTER TABLE waiting_offer ALTER COLUMN offered_at SET NOT NULL")
