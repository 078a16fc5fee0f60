"""Sessions and drafts sealed by their cookies"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What stood there in clear cannot be sealed: the cookies are with the browsers. People log in once more.
    op.execute("DELETE FROM session")
    for table in ("session", "draft"):
        op.drop_column(table, "content")
        op.add_column(table, sa.Column("content", sa.LargeBinary(), nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM session")
    for table in ("session", "draft"):
        op.drop_column(table, "content")
        op.add_column(table, sa.Column("content", JSONB(), nullable=False))
