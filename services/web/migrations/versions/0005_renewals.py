"""Until when a process has the renewal of a session's tokens to itself"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("renewed_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("session", "renewed_until")
