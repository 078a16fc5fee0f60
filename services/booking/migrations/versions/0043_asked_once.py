"""A person is asked once about a slot, however many requests of theirs it suits; registrations are counted"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "booking_action",
        sa.Column(
            "registered",
            sa.ARRAY(sa.DateTime(timezone=True)),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.add_column("waiting_offer", sa.Column("patient", sa.Text(collation="C"), nullable=True))
    op.execute(
        "UPDATE waiting_offer SET patient = waiting.patient FROM waiting"
        " WHERE waiting.appointment_id = waiting_offer.appointment_id"
    )
    op.create_index("ix_waiting_offer_patient_slot", "waiting_offer", ["patient", "slot"])


def downgrade() -> None:
    op.drop_index("ix_waiting_offer_patient_slot", "waiting_offer")
    op.drop_column("waiting_offer", "patient")
    op.drop_column("booking_action", "registered")
