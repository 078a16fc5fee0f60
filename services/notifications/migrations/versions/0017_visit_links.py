"""Links to visits: what is asked of whoever comes by one, and how often a wrong answer was given"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "recipient", sa.Column("answers", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    )
    op.create_table(
        "visit_link",
        sa.Column("message", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["message"], ["message.id"], name=op.f("fk_visit_link_message_message"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message", name=op.f("pk_visit_link")),
        comment="Of the links that were used: the number of the one that works, and the wrong answers to it.",
    )


def downgrade() -> None:
    op.drop_table("visit_link")
    op.drop_column("recipient", "answers")
