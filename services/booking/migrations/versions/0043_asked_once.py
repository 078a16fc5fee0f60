"""A person is asked once about a slot, however many requests of theirs it suits; registrations are counted"""

from __future__ import annotations

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE waiting_offer ADD COLUMN IF NOT EXISTS patient text COLLATE "C"')
    op.execute(
        "ALTER TABLE booking_action ADD COLUMN IF NOT EXISTS registered timestamptz[] NOT NULL DEFAULT '{}'"
    )
    # The block commits first: who books or cancels does not wait until all offers are written.
    with op.get_context().autocommit_block():
        op.execute(
            "UPDATE waiting_offer SET patient = waiting.patient FROM waiting"
            " WHERE waiting.appointment_id = waiting_offer.appointment_id AND waiting_offer.patient IS NULL"
        )
        op.execute("DROP INDEX IF EXISTS ix_waiting_offer_patient_slot")
        op.execute("CREATE INDEX CONCURRENTLY ix_waiting_offer_patient_slot ON waiting_offer (patient, slot)")


def downgrade() -> None:
    op.drop_index("ix_waiting_offer_patient_slot", "waiting_offer")
    op.drop_column("waiting_offer", "patient")
    op.drop_column("booking_action", "registered")
