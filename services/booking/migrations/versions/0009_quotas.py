"""Who has a hold, with the issuer; when accounts and patients last booked, held and cancelled"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hold", sa.Column("issuer", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "booking_action",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("booked", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("held", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("cancelled", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("latest", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_booking_action")),
    )


def downgrade() -> None:
    op.drop_table("booking_action")
    op.drop_column("hold", "issuer")
