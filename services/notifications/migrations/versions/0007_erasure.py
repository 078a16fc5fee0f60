"""Who leaves, and what is still to be told to them; what was sent where; reports on what retention removed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ATTEMPT = "One row for each try of a message; message_id is the e-mail's Message-ID."
ATTEMPT_SAYS = (
    "One row for each try of a message; message_id is the e-mail's Message-ID; sent_to the address used."
)
RECIPIENT = "Replica of the contacts: how each recipient is reached. No other table names a person."
RECIPIENT_SAYS = (
    "Replica of the contacts: how each recipient is reached. But for attempt, no other table names a person."
)


def upgrade() -> None:
    op.create_table_comment("attempt", ATTEMPT_SAYS, existing_comment=ATTEMPT)
    op.create_table_comment("recipient", RECIPIENT_SAYS, existing_comment=RECIPIENT)
    op.create_table(
        "departure",
        sa.Column("recipient", sa.Text(collation="C"), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("forget_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "awaited", sa.ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("recipient", name=op.f("pk_departure")),
        comment="Who was erased, and which cancellations they are still told of before they are forgotten.",
    )
    op.create_index(
        "ix_departure_forget_by",
        "departure",
        ["forget_by"],
        unique=False,
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.add_column("attempt", sa.Column("sent_to", sa.Text(), nullable=True))
    op.add_column("attempt", sa.Column("subject", sa.Text(), nullable=True))
    op.create_table(
        "retention_report",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("data_class", sa.Text(), nullable=False),
        sa.Column("setting", sa.Text(), nullable=False),
        sa.Column("kept_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", "data_class", name=op.f("pk_retention_report")),
    )


def downgrade() -> None:
    op.drop_table("retention_report")
    op.drop_column("attempt", "subject")
    op.drop_column("attempt", "sent_to")
    op.drop_index("ix_departure_forget_by", table_name="departure")
    op.drop_table("departure")
    op.create_table_comment("recipient", RECIPIENT, existing_comment=RECIPIENT_SAYS)
    op.create_table_comment("attempt", ATTEMPT, existing_comment=ATTEMPT_SAYS)
