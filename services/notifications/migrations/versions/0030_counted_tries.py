"""Of the tries of a message those count that came as far as its recipient

Messages of before begin anew: none of their tries is counted, and a process of before counts none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("spent", sa.Integer(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    op.drop_column("message", "spent")
