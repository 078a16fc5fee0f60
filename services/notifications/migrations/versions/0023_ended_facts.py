"""Where somebody no longer works is told by no message

Rows of before count as in use, as they did, until the directory says something of them again, or the consumer
`notifications-resources` is rebuilt.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("directory_fact", sa.Column("organization", sa.Text(), nullable=True))
    op.add_column(
        "directory_fact",
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.text("true")),
    )
    op.add_column("directory_fact", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("directory_fact", sa.Column("until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for column in ("until", "since", "active", "organization"):
        op.drop_column("directory_fact", column)
