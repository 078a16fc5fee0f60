"""With which rights an asynchronous request was asked, and whom its answer is for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("async_request", sa.Column("asked_with", sa.LargeBinary(), nullable=True))
    op.add_column("async_request", sa.Column("reach", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("async_request", "reach")
    op.drop_column("async_request", "asked_with")
