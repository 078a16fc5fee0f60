"""A message that tells of several of a series keeps what it tells"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("of_several", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("message", "of_several")
