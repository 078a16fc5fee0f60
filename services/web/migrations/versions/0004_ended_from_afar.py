"""Sessions that the provider can end"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("provider_session", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_session_provider_session",
        "session",
        ["provider_session"],
        postgresql_where=sa.text("provider_session IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_column("session", "provider_session")
