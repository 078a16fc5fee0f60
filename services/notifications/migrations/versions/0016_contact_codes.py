"""One-time codes, by which people without an account prove that a contact is theirs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contact_code",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", "address", name=op.f("pk_contact_code")),
        comment="The one live code of a contact (a keyed hash): a keyed hash of the code, and how often one was tried.",
    )
    op.create_index("ix_contact_code_expires_at", "contact_code", ["expires_at"], unique=False)
    op.create_table(
        "contact_code_sent",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.LargeBinary(), nullable=False),
        sa.Column(
            "sent", sa.ARRAY(sa.DateTime(timezone=True)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("channel", "mailbox", name=op.f("pk_contact_code_sent")),
        comment="When codes were sent to a letter box (a keyed hash), as far as it counts.",
    )
    op.create_index("ix_contact_code_sent_last_at", "contact_code_sent", ["last_at"], unique=False)


def downgrade() -> None:
    op.drop_table("contact_code_sent")
    op.drop_table("contact_code")
