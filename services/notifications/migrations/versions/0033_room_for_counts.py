"""What went to a letter box is counted on its own page, and no index changes for it"""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE address_standing SET (fillfactor = 80)")


def downgrade() -> None:
    op.execute("ALTER TABLE address_standing RESET (fillfactor)")
