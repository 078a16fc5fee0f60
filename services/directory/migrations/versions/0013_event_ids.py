"""No index of event ids: nobody looks an event up by its id."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE outbox DROP CONSTRAINT IF EXISTS uq_outbox_event_id")


def downgrade() -> None:
    op.create_unique_constraint("uq_outbox_event_id", "outbox", ["event_id"])
