"""When the owner of what replicas keep last spoke of it, so that nothing that is told late brings back what has ended

What was heard of before has no row: whatever comes next of it holds, as it did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "last_word",
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("replica", "key", name=op.f("pk_last_word")),
        comment="When each thing in a replica was last spoken of by its owner, and since when it is gone from it.",
    )
    op.create_index(
        "ix_last_word_gone_at", "last_word", ["gone_at"], postgresql_where=sa.text("gone_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_table("last_word")
