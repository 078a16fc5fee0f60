"""Who answers for an address, what was sent to it, and what its owner said"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("email_vouched", "phone_vouched"):
        op.add_column(
            "recipient", sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )
    op.add_column("message", sa.Column("counted_for", sa.LargeBinary(), nullable=True))
    op.create_table(
        "address_standing",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.LargeBinary(), nullable=False),
        sa.Column("unconfirmed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("day_sent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("channel", "mailbox", name=op.f("pk_address_standing")),
        comment="How many messages have gone to each letter box (a keyed hash), and whether its owner wants none.",
    )
    op.create_index("ix_address_standing_last_at", "address_standing", ["last_at"], unique=False)
    op.create_table(
        "address_confirmation",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", sa.Text(collation="C"), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", "address", "recipient", name=op.f("pk_address_confirmation")),
        comment="The owner of the address (a keyed hash) has said that messages for the recipient are for them.",
    )
    op.create_index("ix_address_confirmation_recipient", "address_confirmation", ["recipient"], unique=False)
    op.create_table(
        "address_link",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", sa.Text(collation="C"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_address_link")),
        comment="The links of messages to unconfirmed addresses: SHA-256 of the token, and what it speaks of.",
    )
    op.create_index("ix_address_link_recipient", "address_link", ["recipient"], unique=False)
    op.create_index("ix_address_link_expires_at", "address_link", ["expires_at"], unique=False)


def downgrade() -> None:
    for table in ("address_link", "address_confirmation", "address_standing"):
        op.drop_table(table)
    op.drop_column("message", "counted_for")
    for name in ("phone_vouched", "email_vouched"):
        op.drop_column("recipient", name)
