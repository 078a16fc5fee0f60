"""What a deleted resource of the directory said is kept until its visits have been told of

Its deletion cancels them, and the message says with whom and where they were, by which clock.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("directory_fact", sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_directory_fact_gone_at",
        "directory_fact",
        ["gone_at"],
        postgresql_where=sa.text("gone_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM directory_fact WHERE gone_at IS NOT NULL")
    op.drop_index("ix_directory_fact_gone_at", "directory_fact")
    op.drop_column("directory_fact", "gone_at")
