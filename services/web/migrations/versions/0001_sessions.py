"""Sessions and drafts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("form_key", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_session")),
    )
    op.create_index("ix_session_seen_at", "session", ["seen_at"], unique=False)
    op.create_table(
        "draft",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("session", sa.LargeBinary(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"],
            ["session.key_hash"],
            name=op.f("fk_draft_session"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft")),
    )
    op.create_index("ix_draft_session", "draft", ["session"], unique=False)


def downgrade() -> None:
    op.drop_table("draft")
    op.drop_table("session")
