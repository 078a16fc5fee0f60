"""The Expires header of an answer is kept with its Idempotency-Key"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency", sa.Column("expires", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency", "expires")
