"""By which clock the reader of a message lives"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recipient", sa.Column("zone", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("recipient", "zone")
