"""Whether a code to act for somebody was given by an account that acts for them: it holds as long as that may decide"""

from __future__ import annotations

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE proxy_invitation ADD COLUMN IF NOT EXISTS by_person boolean NOT NULL DEFAULT false"
    )


def downgrade() -> None:
    op.drop_column("proxy_invitation", "by_person")
